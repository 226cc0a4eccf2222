//! A key without an open stream is handed over before its next request, and not earlier.

mod common;

use common::{Cluster, HOOKS, raw::Raw};
use foreshift_lab::{Answer, Fault, HttpClient, Socket, SocketOptions, Step, Style};
use foreshift_wire::IngressEvent;

async fn work(client: &mut HttpClient, user: &str) -> Answer {
    let answer = client.get("/work", &[("x-user", user)]).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_slice(answer.body()).unwrap()
}

fn index(answer: &Answer) -> usize {
    answer.node[1..].parse().unwrap()
}

#[tokio::test]
async fn the_state_is_there_before_the_next_request() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut client = HttpClient::new(cluster.address());
    let first = work(&mut client, "ann").await;
    let from = index(&first);
    let mut probe = Socket::connect(&SocketOptions::new(cluster.address(), "probe"))
        .await
        .unwrap();
    for round in 0..10 {
        let (from, to) = if round % 2 == 0 {
            (from, 1 - from)
        } else {
            (1 - from, from)
        };
        let id = cluster.order("ann", from, to).await;
        // What was ordered later has moved: all workers know of this one too.
        let at = cluster.home("probe").await;
        cluster.migrate("probe", at, 1 - at).await.expect("it moves");
        let answer = work(&mut client, "ann").await;
        assert_eq!(
            (index(&answer), answer.count, answer.epoch),
            (to, round + 2, first.epoch)
        );
        assert_eq!(
            cluster.outcome(id).await,
            Ok(vec![]),
            "nothing was open, nothing paused"
        );
        cluster.settle(cluster.session("ann"), &common::node_id(to)).await;
    }
    let stats: Vec<_> = (0..2).map(|n| cluster.backend(n).stats()).collect();
    assert_eq!(stats[0].handed_over + stats[1].handed_over, 20, "ten of each key");
    probe.send(b"hello", Style::Text).await.unwrap();
    probe.next().await.expect("it is open");
}

#[tokio::test]
async fn the_old_node_is_not_asked_before_that() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut client = HttpClient::new(cluster.address());
    let (ann, bob) = (
        index(&work(&mut client, "ann").await),
        index(&work(&mut client, "bob").await),
    );
    cluster.order("ann", ann, 1 - ann).await;
    let id = cluster.order("bob", bob, 1 - bob).await;
    while index(&work(&mut client, "bob").await) == bob {}
    cluster.outcome(id).await.unwrap();
    let given = (0..2)
        .map(|n| cluster.backend(n).stats().handed_over)
        .sum::<u64>();
    assert_eq!(given, 1, "ann has asked for nothing since");
}

#[tokio::test]
async fn requests_that_come_at_once_wait_for_one_hand_over() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut client = HttpClient::new(cluster.address());
    let first = work(&mut client, "ann").await;
    let from = index(&first);
    let id = cluster.order("ann", from, 1 - from).await;
    let address = cluster.address();
    let requests: Vec<_> = (0..40)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = HttpClient::new(address);
                let mut counts = Vec::new();
                while counts.len() < 5 {
                    counts.push(work(&mut client, "ann").await);
                }
                counts
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.extend(request.await.unwrap());
    }
    cluster.outcome(id).await.unwrap();
    answers.sort_by_key(|a| a.count);
    let counts: Vec<u64> = answers.iter().map(|a| a.count).collect();
    assert_eq!(
        counts,
        (2..=201).collect::<Vec<_>>(),
        "no request was counted twice or by a node without the state"
    );
    assert!(answers.iter().all(|a| a.epoch == first.epoch));
    let switched = answers.iter().position(|a| index(a) != from).expect("it moves");
    assert!(answers[switched..].iter().all(|a| index(a) != from), "never back");
}

#[tokio::test]
async fn a_request_is_answered_by_the_old_node_where_the_hand_over_fails() {
    let mut cluster = Cluster::start(2, &format!("{HOOKS}migration_deadline = \"500ms\"\n")).await;
    for fault in [Fault::Refuse, Fault::Stall, Fault::Garbage, Fault::Reset] {
        let mut client = HttpClient::new(cluster.address());
        let user = format!("{fault:?}");
        let first = work(&mut client, &user).await;
        let from = index(&first);
        cluster.backend(1 - from).fail(Step::Resume, fault).await;
        let id = cluster.order(&user, from, 1 - from).await;
        let outcome = async {
            cluster
                .event(|event| match event {
                    IngressEvent::HandedOver { move_id, failure, .. } if move_id == Some(id) => failure,
                    _ => None,
                })
                .await
        };
        let requests = async {
            let mut count = 1;
            loop {
                count += 1;
                let answer = work(&mut client, &user).await;
                assert_eq!(
                    (index(&answer), answer.count, answer.epoch),
                    (from, count, first.epoch),
                    "{fault:?}"
                );
            }
        };
        tokio::select! {
            _failure = outcome => {}
            () = requests => {}
        }
        cluster.backend(1 - from).heal().await;
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_old_node_gives_the_state_away() {
    let options = foreshift_lab::BackendOptions {
        service_time: std::time::Duration::from_millis(150),
        spread: 0.0,
        ..Default::default()
    };
    let mut cluster = Cluster::start_like(2, HOOKS, "", &options).await;
    let mut client = HttpClient::new(cluster.address());
    let first = work(&mut client, "ann").await;
    let from = index(&first);
    let mut raw = Raw::connect(cluster.address()).await;
    raw.send("GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n")
        .await;
    while cluster.backend(from).stats().in_service == 0 {
        tokio::task::yield_now().await;
    }
    let id = cluster.order("ann", from, 1 - from).await;
    assert_eq!(cluster.outcome(id).await, Ok(vec![]));
    let answer: Answer = serde_json::from_slice(&raw.answer(false).await.body).unwrap();
    assert_eq!((index(&answer), answer.count), (from, 2));
    let next = work(&mut client, "ann").await;
    assert_eq!((index(&next), next.count, next.epoch), (1 - from, 3, first.epoch));
}
