//! What a client may ask for at most.

mod common;

use std::time::{Duration, Instant};

use common::{
    Cluster,
    raw::{Raw, RawNode, Recorder},
};

async fn start(limits: &str) -> (Recorder, Cluster) {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", &format!("[ingress.limits]\n{limits}\n")).await;
    (node, cluster)
}

#[tokio::test]
async fn a_head_that_is_too_long_is_a_431() {
    let (node, cluster) = start("header_bytes = 2048\nheaders = 20").await;
    for head in [
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(3000)),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(30_000)),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(30)),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(100_000)),
    ] {
        let mut client = Raw::connect(cluster.address()).await;
        // It may be refused before it is sent.
        let _ = client.stream.try_write(head.as_bytes());
        assert_eq!(client.answer(false).await.status(), 431, "{}", head.len());
    }
    assert_eq!(node.connections(), 0);
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send(format!(
            "GET /ok HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(1500)
        ))
        .await;
    assert_eq!(client.answer(false).await.status(), 200);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_a_413() {
    let (node, cluster) = start("body_bytes = 1000").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 413);
    client.closes().await;
    assert_eq!(node.connections(), 0);

    let mut client = Raw::connect(cluster.address()).await;
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ))
        .await;
    client.send(&chunk).await;
    assert_eq!(client.answer(false).await.status(), 413);
    client.closes().await;

    let mut client = Raw::connect(cluster.address()).await;
    let body = "x".repeat(1000);
    client
        .send(format!(
            "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{body}"
        ))
        .await;
    assert_eq!(client.answer(false).await.text(), "/p 1000");
}

#[tokio::test]
async fn a_head_that_dribbles_in_is_a_408() {
    let (node, cluster) = start("header_timeout = \"300ms\"").await;
    let mut client = Raw::connect(cluster.address()).await;
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let mut dribble = tokio::time::interval(Duration::from_millis(50));
    let answer = loop {
        tokio::select! {
            answer = client.answer(false) => break answer,
            _ = dribble.tick() => {}
        }
        // Each byte in time, the whole head not.
        let _ = client.stream.try_write(b"X");
    };
    assert_eq!(answer.status(), 408);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(node.connections(), 0);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let (_, cluster) = start("header_timeout = \"200ms\"\nidle_timeout = \"300ms\"").await;
    // Before its first request …
    Raw::connect(cluster.address()).await.closes().await;
    // … and between two.
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status(), 200);
    client.closes().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "request_timeout = \"200ms\"", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    let mut at_node = node.accept().await;
    at_node.head().await.unwrap();
    at_node.take(4).await;
    assert_eq!(client.answer(false).await.status(), 408);
    client.closes().await;
    at_node.closes().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_a_503_until_others_end() {
    for limits in ["connections = 2", "connections_per_source = 2"] {
        let (_node, cluster) = start(limits).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut client = Raw::connect(cluster.address()).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.answer(false).await.status(), 200);
            open.push(client);
        }
        let mut third = Raw::connect(cluster.address()).await;
        third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(third.answer(false).await.status(), 503, "{limits}");
        third.closes().await;
        drop(open.pop());
        loop {
            let mut again = Raw::connect(cluster.address()).await;
            again.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            if again.answer(false).await.status() == 200 {
                break;
            }
        }
        open[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(open[0].answer(false).await.status(), 200, "{limits}");
    }
}
