//! An open WebSocket changes its node, and the client notices nothing.

mod common;

use common::{Cluster, HOOKS};
use foreshift_lab::{Socket, SocketOptions, Style};

#[tokio::test]
async fn messages_and_state_go_on_through_switches_there_and_back() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    for round in 0..10 {
        for _ in 0..3 {
            socket.send(b"hello", Style::Text).await.unwrap();
            socket.next().await.expect("an answer");
        }
        let from = cluster.home("ann").await;
        let pauses = cluster.migrate("ann", from, 1 - from).await.expect("it moves");
        assert_eq!(pauses.len(), 1, "round {round}");
        assert_eq!(cluster.home("ann").await, 1 - from);
    }
    let tally = socket.close().await;
    assert!(tally.is_clean(), "{tally:?}");
    assert_eq!(
        cluster.backend(0).stats().handed_over + cluster.backend(1).stats().handed_over,
        10
    );
}
