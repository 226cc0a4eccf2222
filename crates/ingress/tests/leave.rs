//! A data plane ends in favour of another one: nobody is cut off who may be about to ask.

mod common;

use std::time::{Duration, Instant};

use common::{
    Cluster, PATIENCE,
    raw::{Message, Raw, RawNode, frame},
};
use foreshift_ingress::{Handle, Inherited, Start};
use serde_json::Value;

#[tokio::test]
async fn who_leaves_says_so_with_each_answer_and_closes_streams_at_the_end() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "[ingress]\nworkers = 1").await;
    let address = cluster.address();
    let serve = async {
        let mut raw = node.accept().await;
        raw.agree("").await;
        raw
    };
    let ((mut socket, _), mut at_node) = tokio::join!(Raw::websocket(address, "ann", ""), serve);
    let mut idle = Raw::connect(address).await;
    idle.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut for_idle = node.accept().await;
    for_idle.request().await.unwrap();
    for_idle.ok("").await;
    idle.answer(false).await;
    // It has connected and said nothing yet.
    let mut silent = Raw::connect(address).await;

    let handle = cluster.ingress.clone();
    let leaving = tokio::spawn(async move { handle.leave(Duration::from_millis(1500)).await });
    let refused = async {
        while let Ok(stream) = tokio::net::TcpStream::connect(address).await {
            drop(stream);
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    for (client, path) in [(&mut idle, "/again"), (&mut silent, "/first")] {
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        assert_eq!(for_idle.request().await.unwrap().path(), path);
        for_idle.ok("served").await;
        let answer = client.answer(false).await;
        assert_eq!(
            (answer.text().as_str(), answer.field("connection").as_deref()),
            ("served", Some("close"))
        );
        client.closes().await;
    }
    socket.send(frame(0x81, true, b"still here")).await;
    assert_eq!(at_node.text().await, "still here");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1012));
    socket.closes().await;
    tokio::time::timeout(PATIENCE, leaving).await.unwrap().unwrap();
}

const OFFER: &str = "Sec-WebSocket-Protocol: foreshift.v1\r\n";

/// Another data plane on the same sockets, as in another process.
async fn next(cluster: &Cluster) -> Handle {
    let (open, first_id) = cluster.ingress.open_sockets().await.unwrap();
    let inherited = open.into_iter().flat_map(|listener| {
        let (name, configured) = (listener.name, Some(listener.configured));
        listener.sockets.into_iter().map(move |socket| Inherited {
            name: name.clone(),
            configured,
            socket,
        })
    });
    let start = Start {
        inherited: inherited.collect(),
        first_id,
        ..Start::default()
    };
    let started = foreshift_ingress::start_with(&cluster.config, cluster.meta.clone(), start).await;
    started.unwrap().0
}

async fn come_back(cluster: &Cluster, user: &str, token: &str) -> (Raw, Message) {
    Raw::websocket(
        cluster.address(),
        user,
        &format!("{OFFER}Foreshift-Token: {token}\r\n"),
    )
    .await
}

#[tokio::test]
async fn told_clients_go_on_with_the_next_process_one_after_the_other() {
    let cluster = Cluster::start(1, "reconnects_per_second = 1\n").await;
    let mut clients = Vec::new();
    for user in ["ann", "bob", "cid"] {
        clients.push((user, Raw::websocket(cluster.address(), user, OFFER).await.0));
    }
    let _next = next(&cluster).await;
    let handle = cluster.ingress.clone();
    let leaving = tokio::spawn(async move { handle.leave(PATIENCE).await });
    let mut told = Vec::new();
    for (user, mut socket) in clients {
        let text = socket.text().await;
        let instruction: Value = serde_json::from_str(text.strip_prefix('\u{1e}').unwrap()).unwrap();
        assert_eq!(
            (&instruction["url"], &instruction["reason"]),
            (&"ws://lab/chat".into(), &"restart".into())
        );
        told.push((
            instruction["delay_ms"].as_u64().unwrap(),
            user,
            socket,
            instruction,
        ));
    }
    told.sort_by_key(|(delay, ..)| *delay);
    assert!(
        told.windows(2).all(|two| two[1].0 - two[0].0 > 500),
        "a second lies between two"
    );
    for (_, user, mut old, instruction) in told {
        let token = instruction["token"].as_str().unwrap();
        let (_, answer) = come_back(&cluster, "eve", token).await;
        assert_eq!(answer.status(), 403, "it is somebody else's");
        let (mut new, answer) = come_back(&cluster, user, token).await;
        assert_eq!(answer.status(), 101);
        assert_eq!(
            new.text().await,
            format!(
                "\u{1e}{{\"foreshift\":\"resumed\",\"session\":\"{}\"}}",
                cluster.session(user)
            )
        );
        let (_, answer) = come_back(&cluster, user, token).await;
        assert_eq!(answer.status(), 403, "it was used");
        old.send(frame(0x81, true, b"last on the old one")).await;
        let moved = format!("\u{1e}{{\"foreshift\":\"moved\",\"token\":\"{token}\"}}");
        old.send(frame(0x81, true, moved.as_bytes())).await;
        new.send(frame(0x81, true, b"first on the new one")).await;
        old.text().await;
        let close = old.frame().await.unwrap();
        assert_eq!(
            (close.close_code(), &close.payload[2..]),
            (Some(1000), &b"moved"[..])
        );
        old.closes().await;
        new.text().await;
    }
    // It waits for nobody, now that all are gone.
    tokio::time::timeout(PATIENCE / 2, leaving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_told_client_that_refuses_stays_to_the_end_and_its_node_hears_nothing_of_it() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let serve = async {
        let mut raw = node.accept().await;
        raw.agree("").await;
        raw
    };
    let ((mut socket, _), mut at_node) = tokio::join!(Raw::websocket(cluster.address(), "ann", OFFER), serve);
    let handle = cluster.ingress.clone();
    let leaving = tokio::spawn(async move { handle.leave(Duration::from_millis(1500)).await });
    assert!(socket.text().await.contains("\"migrate\""));
    let refused = "\u{1e}{\"foreshift\":\"refused\",\"reason\":\"the host is not allowed\"}";
    socket.send(frame(0x81, true, refused.as_bytes())).await;
    socket.send(frame(0x81, true, b"still here")).await;
    assert_eq!(at_node.text().await, "still here");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1012));
    tokio::time::timeout(PATIENCE, leaving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_answers_no_farewell_keeps_no_client_that_has_moved() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let serve = async {
        let mut raw = node.accept().await;
        raw.agree("").await;
        raw
    };
    let ((mut socket, _), mut at_node) = tokio::join!(Raw::websocket(cluster.address(), "ann", OFFER), serve);
    let handle = cluster.ingress.clone();
    let leaving = tokio::spawn(async move { handle.leave(PATIENCE).await });
    let text = socket.text().await;
    let instruction: Value = serde_json::from_str(text.strip_prefix('\u{1e}').unwrap()).unwrap();
    socket.send(frame(0x81, true, b"last")).await;
    let moved = format!(
        "\u{1e}{{\"foreshift\":\"moved\",\"token\":{}}}",
        instruction["token"]
    );
    socket.send(frame(0x81, true, moved.as_bytes())).await;
    assert_eq!(at_node.text().await, "last");
    assert_eq!(at_node.frame().await.unwrap().close_code(), Some(1000));
    // It may still have something to say, and then says nothing more.
    at_node.send(frame(0x81, false, b"one more")).await;
    assert_eq!(socket.text().await, "one more");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1000));
    tokio::time::timeout(PATIENCE / 2, leaving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn who_cannot_be_told_is_closed_in_the_last_quarter_and_not_before() {
    let cluster = Cluster::start_with(1, "", "[ingress]\nworkers = 1").await;
    let mut clients = Vec::new();
    for user in 0..6 {
        clients.push(Raw::websocket(cluster.address(), &user.to_string(), "").await.0);
    }
    let begun = Instant::now();
    let leaving = cluster.ingress.leave(Duration::from_secs(4));
    let closing = async {
        let first = clients[0].frame().await.unwrap().close_code();
        assert_eq!(first, Some(1012));
        assert!(begun.elapsed() >= Duration::from_secs(3));
        for client in &mut clients[1..] {
            assert_eq!(client.frame().await.unwrap().close_code(), Some(1012));
        }
    };
    tokio::join!(leaving, closing);
}
