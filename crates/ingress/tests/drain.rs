//! A graceful end: what was asked is answered, what idles ends, what does not end is told to.

mod common;

use std::time::Duration;

use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode, frame},
};

/// So that connections to the node are used again by whoever comes next.
const ONE_WORKER: &str = "[ingress]\nworkers = 1";

#[tokio::test]
async fn a_drain_lets_everybody_finish() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", ONE_WORKER).await;
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
    let mut busy = Raw::connect(address).await;
    busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The connection that was kept is used again.
    assert_eq!(for_idle.request().await.unwrap().path(), "/busy");

    let handle = cluster.ingress.clone();
    let draining = tokio::spawn(async move { handle.drain(Duration::from_millis(700)).await });
    idle.closes().await;
    // Idle connections have ended, so the drain has begun: nobody new is taken in …
    let refused = async {
        while let Ok(stream) = tokio::net::TcpStream::connect(address).await {
            Raw::new(stream).until_closed().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    // … and who is there is served: requests to their end, sockets for as long as patience lasts.
    for_idle.ok("done").await;
    let answer = busy.answer(false).await;
    assert_eq!(
        (answer.text().as_str(), answer.field("connection").as_deref()),
        ("done", Some("close"))
    );
    busy.closes().await;
    socket.send(frame(0x81, true, b"still here")).await;
    assert_eq!(at_node.text().await, "still here");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1001));
    assert_eq!(at_node.frame().await.unwrap().close_code(), Some(1001));
    socket.closes().await;
    tokio::time::timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert!(cluster.ingress.connections(Default::default()).await.is_empty());
}

#[tokio::test]
async fn a_drain_of_nothing_is_done_at_once() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", ONE_WORKER).await;
    let done = cluster.ingress.drain(Duration::from_secs(600));
    tokio::time::timeout(PATIENCE, done).await.unwrap();
}
