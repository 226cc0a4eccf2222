//! HTTP/1.1 as it may be: kept alive, pipelined, chunked, long, interim, without a body.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, Recorder},
};

async fn one_raw_node() -> (RawNode, Cluster) {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    (node, cluster)
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    let mut all = String::new();
    for n in 0..20 {
        if n % 3 == 0 {
            all += &format!(
                "POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{}",
                "x".repeat(n)
            );
        } else if n % 3 == 1 {
            all += &format!(
                "POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n{}\r\n0\r\nX: y\r\n\r\n",
                "x".repeat(n)
            );
        } else {
            all += &format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n");
        }
    }
    // In pieces that end anywhere.
    for piece in all.as_bytes().chunks(37) {
        client.send(piece).await;
    }
    for n in 0..20 {
        let length = if n % 3 == 2 { 0 } else { n };
        assert_eq!(client.answer(false).await.text(), format!("/{n} {length}"));
    }
    assert_eq!(node.connections(), 1, "one connection is kept and used again");
}

#[tokio::test]
async fn long_bodies_pass_both_ways_with_either_framing() {
    let cluster = Cluster::start(1, "").await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7) as u8).collect();
    for chunked in [false, true] {
        let mut client = Raw::connect(cluster.address()).await;
        let (mut reading, mut writing) = (Vec::new(), Vec::new());
        if chunked {
            writing.extend(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            for part in body.chunks(70_001) {
                writing.extend(format!("{:X}\r\n", part.len()).into_bytes());
                writing.extend(part);
                writing.extend(b"\r\n");
            }
            writing.extend(b"0\r\n\r\n");
        } else {
            writing.extend(
                format!(
                    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .into_bytes(),
            );
            writing.extend(&body);
        }
        client.send(&writing).await;
        reading.extend(client.answer(false).await.body);
        assert!(reading == body, "chunked: {chunked}");
    }
}

#[tokio::test]
async fn a_chunked_answer_comes_through_with_its_chunks() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_node = node.accept().await;
    at_node.request().await.unwrap();
    at_node
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n")
        .await;
    // Nothing waits for the rest.
    let head = client.head().await.unwrap();
    assert_eq!(head.field("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(client.take(14).await, b"5;ext=1\r\nhello");
    at_node.send("1\r\n!\r\n0\r\n\r\n").await;
    assert_eq!(client.take(2 + 6 + 5).await, b"\r\n1\r\n!\r\n0\r\n\r\n");
    // The connections are both used again.
    client.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(at_node.request().await.unwrap().path(), "/again");
    at_node.ok("x").await;
    assert_eq!(client.answer(false).await.text(), "x");
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nForeshift-Session: 0\r\nX: y\r\n\r\n")
        .await;
    let mut at_node = node.accept().await;
    let request = at_node.request().await.unwrap(); // asserts that there are no trailers
    assert_eq!(request.body, b"x");
    assert_eq!(request.field("trailer"), None);
    at_node.ok("").await;
    assert_eq!(client.answer(false).await.status(), 200);
}

#[tokio::test]
async fn an_expectation_is_the_nodes_to_meet() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let mut at_node = node.accept().await;
    let head = at_node.head().await.unwrap();
    assert_eq!(head.field("expect").as_deref(), Some("100-continue"));
    at_node.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.answer(true).await.status(), 100);
    client.send("ab").await;
    assert_eq!(at_node.take(2).await, b"ab");
    at_node.ok("done").await;
    assert_eq!(client.answer(false).await.text(), "done");
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_node = node.accept().await;
    for (method, answer, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            200,
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            304,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ] {
        if status != 200 || method != "HEAD" || !answer.contains("500") {
            client
                .send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
        }
        assert!(at_node.request().await.unwrap().start.starts_with(method));
        at_node.send(answer).await;
        assert_eq!(client.answer(true).await.status(), status);
    }
    // A HEAD that is refused has no body either.
    drop((at_node, node));
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer(true).await.status(), 502);
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 502);
    client.closes().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed_unless_it_asks_to_be_kept() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.field("connection").as_deref(), Some("keep-alive"));
    assert_eq!(answer.text(), "/a 0");
    client.send("GET /b HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer(false).await.text(), "/b 0");
    client.closes().await;
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_ends_the_clients_too() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_node = node.accept().await;
    at_node.request().await.unwrap();
    at_node.send("HTTP/1.1 200 OK\r\n\r\nuntil ").await;
    at_node.send("the end").await;
    drop(at_node);
    let answer = client.answer(false).await;
    assert_eq!(answer.text(), "until the end");
    assert_eq!(answer.field("connection").as_deref(), Some("close"));
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_cut_short_for_the_client() {
    let (node, cluster) = one_raw_node().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = Raw::connect(cluster.address()).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut at_node = node.accept().await;
        at_node.request().await.unwrap();
        at_node.send(answer).await;
        drop(at_node);
        let all = String::from_utf8(client.until_closed().await).unwrap();
        assert!(all.contains("half") && !all.ends_with("0\r\n\r\n"), "{all}");
    }
}

#[tokio::test]
async fn an_answer_before_the_whole_upload_ends_the_connection_behind_it() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun")
        .await;
    let mut at_node = node.accept().await;
    at_node.head().await.unwrap();
    at_node
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    // What is left of the body must not be taken for a request.
    client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.closes().await;
    let rest = String::from_utf8(at_node.until_closed().await).unwrap();
    assert!(rest.len() < 1000 && !rest.contains("Foreshift-Session"), "{rest}");
    assert!(node.is_left_alone());
}

#[tokio::test]
async fn a_body_that_turns_bad_behind_an_answer_does_not_answer_twice() {
    let (node, cluster) = one_raw_node().await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    let mut at_node = node.accept().await;
    at_node.head().await.unwrap();
    at_node
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    client.head().await.unwrap();
    client.take(10).await;
    client.send("zz\r\n").await;
    let rest = String::from_utf8(client.until_closed().await).unwrap();
    assert!(!rest.contains("HTTP/1.1"), "{rest}");
}

#[tokio::test]
async fn a_kept_alive_connection_may_idle_for_longer_than_a_head_may_take() {
    let node = Recorder::start().await;
    let limits = "[ingress.limits]\nheader_timeout = \"50ms\"\nidle_timeout = \"60s\"";
    let cluster = Cluster::over(&[node.address], "", limits).await;
    let mut client = Raw::connect(cluster.address()).await;
    for _ in 0..2 {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.answer(false).await.status(), 200);
        // Time itself is what is tested.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
