//! A request that two parsers could read differently is refused, and no node sees any of it.

mod common;

use common::{
    Cluster,
    raw::{Raw, Recorder},
};

const HEAD: &str = "POST /bad HTTP/1.1\r\nHost: a\r\n";

#[tokio::test]
async fn what_is_malformed_is_refused_and_reaches_no_node() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let cases: Vec<(String, u16)> = [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("Content-Length: 99999999999999999999999\r\n\r\n", 400),
        ("Content-Length: -1\r\n\r\n", 400),
        ("Content-Length: 0x5\r\n\r\nhello", 400),
        ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("X: a\r\n folded\r\n\r\n", 400),
        ("X: a\r\n\tfolded\r\n\r\n", 400),
        ("Host: b\r\n\r\n", 400),
        ("No colon\r\n\r\n", 400),
        (": no name\r\n\r\n", 400),
        ("X: a\0b\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", 400),
        (
            "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
            400,
        ),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\n\r\n",
            400,
        ),
    ]
    .into_iter()
    .map(|(rest, status)| (format!("{HEAD}{rest}"), status))
    .chain(
        [
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
            ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03 \r\n\r\n", 400),
        ]
        .map(|(text, status)| (text.to_owned(), status)),
    )
    .collect();
    for (request, status) in cases {
        let mut client = Raw::connect(cluster.address()).await;
        client.send(&request).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), status, "{request:?}");
        let kind = answer.field("content-type");
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{request:?}");
        client.closes().await;
    }
    assert_eq!((node.connections(), node.heads().len()), (0, 0));
}

#[tokio::test]
async fn a_body_that_turns_bad_is_refused_and_its_node_never_gets_it_whole() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
        .await;
    client
        .send("zz\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 400);
    client.closes().await;

    let mut other = Raw::connect(cluster.address()).await;
    other.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(other.answer(false).await.text(), "/good 0");
    let paths: Vec<_> = node.heads().iter().map(|h| h.path().to_owned()).collect();
    assert!(paths.iter().all(|p| p != "/smuggled"), "{paths:?}");
}

#[tokio::test]
async fn what_follows_a_refused_request_is_not_read() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 400);
    client.closes().await;
    assert_eq!(node.connections(), 0);
}
