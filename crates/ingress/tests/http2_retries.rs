//! What is sent again where requests are translated between versions of HTTP.

mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::{Cluster, PATIENCE, raw::RawNode};
use h2::Reason;
use http_body_util::Full;
use hyper::{Request, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

const RETRIES: &str = "retry = { on = [\"refused_stream\", \"503\"] }";

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn status(sender: &mut SendRequest<Full<Bytes>>, method: &str, body: &'static str) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri("http://lab.example/a")
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .expect("a request");
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    answer.expect("in time").expect("an answer").status().as_u16()
}

/// Two nodes of HTTP/2. The first request that either gets is dealt with by `reason`, all others are answered 200. Tells
/// of each request.
async fn h2_nodes(reason: Reason) -> (Vec<SocketAddr>, mpsc::UnboundedReceiver<String>) {
    let (asked, all) = mpsc::unbounded_channel();
    let first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        addresses.push(listener.local_addr().expect("it is bound"));
        let (asked, first) = (asked.clone(), first.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, first) = (asked.clone(), first.clone());
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                    while let Some(Ok((request, mut answer))) = connection.accept().await {
                        let _ = asked.send(request.method().to_string());
                        if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                            answer.send_reset(reason);
                        } else {
                            let _ = answer.send_response(http::Response::new(()), true);
                        }
                    }
                });
            }
        });
    }
    (addresses, all)
}

async fn asked_of_h2_nodes(reason: Reason, method: &str, body: &'static str) -> (u16, usize) {
    let (nodes, mut asked) = h2_nodes(reason).await;
    let pool = format!("upstream_protocol = \"h2c\"\n{RETRIES}");
    let cluster = Cluster::over(&nodes, &pool, "").await;
    let mut client = connect(cluster.address()).await;
    let status = status(&mut client, method, body).await;
    let mut times = 0;
    while asked.try_recv().is_ok() {
        times += 1;
    }
    (status, times)
}

#[tokio::test]
async fn what_a_node_refused_to_look_at_is_sent_again_whatever_its_method() {
    for (reason, method, body, expected) in [
        (Reason::REFUSED_STREAM, "GET", "", (200, 2)),
        (Reason::REFUSED_STREAM, "POST", "", (200, 2)),
        (Reason::REFUSED_STREAM, "POST", "a body that is gone", (502, 1)),
        (Reason::INTERNAL_ERROR, "GET", "", (502, 1)),
        (Reason::INTERNAL_ERROR, "POST", "", (502, 1)),
    ] {
        let found = asked_of_h2_nodes(reason, method, body).await;
        assert_eq!(found, expected, "{reason} {method} {body:?}");
    }
}

#[tokio::test]
async fn a_get_that_a_node_fails_is_answered_by_the_next_and_a_post_is_not_sent_again() {
    for (method, body, expected) in [("GET", "", 200), ("POST", "", 503), ("PUT", "x", 503)] {
        let nodes = [RawNode::start().await, RawNode::start().await];
        let cluster = Cluster::over(&nodes.each_ref().map(|n| n.address), RETRIES, "").await;
        let mut client = connect(cluster.address()).await;
        let serve = async {
            let (mut first, other) = tokio::select! {
                raw = nodes[0].accept() => (raw, &nodes[1]),
                raw = nodes[1].accept() => (raw, &nodes[0]),
            };
            first.request().await.expect("a request");
            first.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
            let mut second = other.accept().await;
            second.request().await.expect("the same request");
            second.ok("here").await;
            std::future::pending::<()>().await;
        };
        let found = tokio::select! {
            status = status(&mut client, method, body) => status,
            () = serve => unreachable!("it never ends"),
        };
        assert_eq!(found, expected, "{method} {body:?}");
    }
}
