//! A data plane ends in favour of another one: nobody is cut off who may be about to ask.

mod common;

use std::time::Duration;

use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode, frame},
};

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
