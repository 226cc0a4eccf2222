//! All of a key's connections move at once, wherever they are being served.

mod common;

use common::{Cluster, HOOKS};
use foreshift_lab::{Answer, HttpClient, Socket, SocketOptions, Style};

#[tokio::test]
async fn sockets_and_requests_on_all_workers_move_as_one() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let address = cluster.address();
    let mut sockets = Vec::new();
    for _ in 0..12 {
        sockets.push(
            Socket::connect(&SocketOptions::new(address, "ann"))
                .await
                .unwrap(),
        );
    }
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let requests = {
        let stop = stop.clone();
        tokio::spawn(async move {
            let mut client = HttpClient::new(address);
            let mut answers = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let answer = client.get("/work", &[("x-user", "ann")]).await.unwrap();
                assert_eq!(answer.status(), 200);
                answers.push(serde_json::from_slice::<Answer>(answer.body()).unwrap());
            }
            answers
        })
    };
    for round in 0..12 {
        for (n, socket) in sockets.iter_mut().enumerate() {
            for _ in 0..n % 3 {
                socket.send(b"hello", Style::Fragmented(2)).await.unwrap();
            }
        }
        let from = cluster.home("ann").await;
        let pauses = cluster.migrate("ann", from, 1 - from).await.expect("it moves");
        assert_eq!(pauses.len(), 12, "round {round}");
        let connections = cluster.connections_of("ann").await;
        let streams: Vec<_> = connections
            .iter()
            .filter(|c| c.kind == foreshift_wire::ConnectionKind::Websocket)
            .collect();
        assert_eq!(streams.len(), 12);
        assert!(
            streams.iter().all(|c| c.node == common::node_id(1 - from)),
            "round {round}: {streams:?}"
        );
        for socket in &mut sockets {
            while socket.pending() > 0 {
                socket.next().await.expect("it is open");
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let answers = requests.await.unwrap();
    assert!(
        answers
            .windows(2)
            .all(|w| w[0].epoch == w[1].epoch && w[0].count < w[1].count)
    );
    for socket in sockets {
        let tally = socket.close().await;
        assert!(tally.is_clean(), "{tally:?}");
    }
    let given = (0..2)
        .map(|n| cluster.backend(n).stats().handed_over)
        .sum::<u64>();
    assert_eq!(given, 12, "the hook is called once for each move");
}

#[tokio::test]
async fn a_socket_that_opens_while_its_key_moves_ends_up_with_the_others() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let address = cluster.address();
    let mut sockets = vec![
        Socket::connect(&SocketOptions::new(address, "ann"))
            .await
            .unwrap(),
    ];
    for _ in 0..10 {
        let from = cluster.home("ann").await;
        let id = cluster.order("ann", from, 1 - from).await;
        let opening = tokio::spawn(async move {
            let mut opened = Vec::new();
            for _ in 0..3 {
                opened.push(
                    Socket::connect(&SocketOptions::new(address, "ann"))
                        .await
                        .unwrap(),
                );
            }
            opened
        });
        cluster.outcome(id).await.expect("it moves");
        cluster
            .settle(cluster.session("ann"), &common::node_id(1 - from))
            .await;
        sockets.extend(opening.await.unwrap());
        for socket in &mut sockets {
            socket.send(b"hello", Style::Text).await.unwrap();
        }
        for socket in &mut sockets {
            let (answer, _) = socket.next().await.expect("it is open");
            assert_eq!(answer.node, common::node_id(1 - from).as_str());
        }
    }
    for socket in sockets {
        let tally = socket.close().await;
        assert!(tally.is_clean(), "{tally:?}");
    }
}
