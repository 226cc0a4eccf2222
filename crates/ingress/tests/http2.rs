//! HTTP/2 in the clear: prior knowledge on the client's side, `h2c` nodes and gRPC on the other.

mod common;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::{
    Cluster, HOOKS, PATIENCE,
    raw::{Raw, RawNode, frame},
};
use foreshift_lab::Answer;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, Version,
    body::{Frame, Incoming},
    client::conn::http2::SendRequest,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, net::TcpStream, time::timeout};

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn whole(text: &str) -> Body {
    Full::new(Bytes::from(text.to_owned())).boxed_unsync()
}

/// A body in frames, with trailers.
fn with_trailers(parts: &[&str], trailers: &[(&'static str, &str)]) -> Body {
    let mut fields = HeaderMap::new();
    for (name, value) in trailers {
        fields.insert(*name, value.parse().unwrap());
    }
    let parts = parts.iter().map(|p| Frame::data(Bytes::from((*p).to_owned())));
    let frames: Vec<_> = parts.chain([Frame::trailers(fields)]).map(Ok).collect();
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(
    sender: &mut SendRequest<Body>,
    request: Request<Body>,
) -> (Response<()>, String, Option<HeaderMap>) {
    let answer = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    let trailers = body.trailers().cloned();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    (Response::from_parts(head, ()), text, trailers)
}

fn get(path: &str, user: &str) -> Request<Body> {
    let uri = format!("http://lab.example{path}");
    Request::get(uri).header("x-user", user).body(whole("")).unwrap()
}

/// What an h2c node was asked.
#[derive(Debug, Clone)]
struct Asked {
    version: Version,
    uri: String,
    fields: HeaderMap,
    body: String,
    trailers: Option<HeaderMap>,
}

/// A node that speaks HTTP/2 only, answers what it was sent, and has trailers.
struct H2cNode {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl H2cNode {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = node.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let asked = asked.clone();
                let service = service_fn(move |request: Request<Incoming>| answer(request, asked.clone()));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        node
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    let reply = with_trailers(
        &["echo ", &text],
        &[("grpc-status", "0"), ("grpc-message", "fine")],
    );
    asked.lock().unwrap().push(Asked {
        version: head.version,
        uri: head.uri.to_string(),
        fields: head.headers,
        body: text,
        trailers,
    });
    Ok(Response::builder()
        .header("content-type", "application/grpc")
        .body(reply)
        .unwrap())
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_by_http_1_nodes() {
    let cluster = Cluster::start(3, "").await;
    let mut sender = connect(cluster.address()).await;
    let mut answers = Vec::new();
    for n in 0..30 {
        let mut sender = sender.clone();
        answers.push(tokio::spawn(async move {
            send(&mut sender, get("/work", &format!("user-{}", n % 5))).await
        }));
    }
    let mut nodes = std::collections::HashMap::new();
    for (n, answer) in answers.into_iter().enumerate() {
        let (head, text, _) = answer.await.unwrap();
        assert_eq!(head.status(), 200);
        let answer: Answer = serde_json::from_str(&text).unwrap();
        let node = nodes.entry(n % 5).or_insert_with(|| answer.node.clone());
        assert_eq!(
            *node, answer.node,
            "a key has one node, whatever connection it shares"
        );
    }
    let upload = "x".repeat(300_000);
    let request = Request::post("http://lab.example/echo")
        .body(whole(&upload))
        .unwrap();
    let (head, text, _) = send(&mut sender, request).await;
    assert!(head.status() == 200 && text == upload);
}

#[tokio::test]
async fn a_client_cannot_speak_in_our_name_and_hops_are_stripped() {
    let cluster = Cluster::start(1, "").await;
    let mut sender = connect(cluster.address()).await;
    let mut request = get("/headers", "ann");
    for (name, value) in [
        ("foreshift-session", "0"),
        ("foreshift-failover", "n0"),
        ("foreshift_resume", "0"),
        ("x-forwarded-for", "198.51.100.9"),
        ("te", "trailers"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let (_, text, _) = send(&mut sender, request).await;
    let seen: std::collections::BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
    assert_eq!(seen["foreshift-session"], [cluster.session("ann").to_string()]);
    assert_eq!(seen["x-forwarded-for"], ["198.51.100.9, 127.0.0.1"]);
    assert_eq!(seen["x-forwarded-proto"], ["http"]);
    assert_eq!(seen["x-forwarded-host"], ["lab.example"]);
    assert_eq!(seen["host"], ["lab.example"]);
    for name in ["foreshift-failover", "foreshift_resume", "te"] {
        assert!(!seen.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn grpc_goes_to_its_node_with_trailers() {
    let node = H2cNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut sender = connect(cluster.address()).await;
    let body = with_trailers(&["a", "b"], &[("foreshift-session", "0"), ("x-trailer", "1")]);
    let request = Request::post("http://lab.example/pkg.Service/Call")
        .header("x-user", "ann")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let (head, text, trailers) = send(&mut sender, request).await;
    assert_eq!((head.status().as_u16(), text.as_str()), (200, "echo ab"));
    let trailers = trailers.expect("they come through");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["grpc-message"]),
        (&"0".parse().unwrap(), &"fine".parse().unwrap())
    );
    let asked = node.asked().remove(0);
    assert_eq!((asked.version, asked.body.as_str()), (Version::HTTP_2, "ab"));
    assert!(asked.uri.ends_with("/pkg.Service/Call"), "{}", asked.uri);
    assert_eq!(asked.fields["te"], "trailers");
    assert_eq!(
        asked.fields["foreshift-session"],
        cluster.session("ann").to_string()
    );
    assert!(
        asked
            .trailers
            .is_none_or(|t| !t.contains_key("foreshift-session"))
    );
}

#[tokio::test]
async fn a_pool_of_h2c_nodes_serves_both_kinds_of_clients() {
    let node = H2cNode::start().await;
    let cluster = Cluster::over(&[node.address], "upstream_protocol = \"h2c\"", "").await;
    let mut sender = connect(cluster.address()).await;
    let (head, text, _) = send(&mut sender, get("/a?b=c", "ann")).await;
    assert_eq!((head.status().as_u16(), text.as_str()), (200, "echo "));
    let mut raw = Raw::connect(cluster.address()).await;
    for _ in 0..2 {
        raw.send("POST /d HTTP/1.1\r\nHost: lab.example\r\nx-user: ann\r\nContent-Length: 3\r\n\r\nxyz")
            .await;
        let head = raw.head().await.unwrap();
        assert_eq!(head.status(), 200);
        let mut text = Vec::new();
        while let Some(chunk) = raw.chunk().await {
            text.extend(chunk);
        }
        assert_eq!(text, b"echo xyz");
    }
    assert!(
        node.asked()
            .iter()
            .all(|a| a.version == Version::HTTP_2 && a.uri.contains("lab.example"))
    );
}

#[tokio::test]
async fn a_websocket_goes_to_an_h2c_node_over_http_1() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "upstream_protocol = \"h2c\"", "").await;
    let serve = async {
        let mut raw = node.accept().await;
        raw.agree("").await;
        raw
    };
    let ((mut client, answer), mut at_node) =
        tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
    assert_eq!(answer.status(), 101);
    client.send(frame(0x81, true, b"hello")).await;
    assert_eq!(at_node.text().await, "hello");
}

#[tokio::test]
async fn a_session_moves_between_two_requests() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut sender = connect(cluster.address()).await;
    let work = async |sender: &mut SendRequest<Body>| -> Answer {
        let (head, text, _) = send(sender, get("/work", "ann")).await;
        assert_eq!(head.status(), 200);
        serde_json::from_str(&text).unwrap()
    };
    let first = work(&mut sender).await;
    let mut last = first.clone();
    for _ in 0..6 {
        let from: usize = last.node[1..].parse().unwrap();
        let id = cluster.order("ann", from, 1 - from).await;
        loop {
            let answer = work(&mut sender).await;
            assert_eq!((answer.epoch, answer.count), (first.epoch, last.count + 1));
            last = answer;
            if last.node != common::node_id(from).as_str() {
                break;
            }
        }
        cluster.outcome(id).await.expect("it moves");
        cluster
            .settle(cluster.session("ann"), &common::node_id(1 - from))
            .await;
    }
}

#[tokio::test]
async fn limits_hold_here_too() {
    let limits = "[ingress.limits]\nbody_bytes = 1000\nheader_bytes = 4096";
    let cluster = Cluster::start_with(1, "request_timeout = \"300ms\"", limits).await;
    let mut sender = connect(cluster.address()).await;
    let request = Request::post("http://a/echo")
        .header("content-length", "2000")
        .body(whole(&"x".repeat(2000)))
        .unwrap();
    assert_eq!(send(&mut sender, request).await.0.status(), 413);
    let streamed = with_trailers(&[&"x".repeat(600), &"x".repeat(600)], &[]);
    let request = Request::post("http://a/echo").body(streamed).unwrap();
    assert_eq!(send(&mut sender, request).await.0.status(), 413);
    let mut request = get("/work", "ann");
    request
        .headers_mut()
        .insert("x-long", "x".repeat(8000).parse().unwrap());
    match timeout(PATIENCE, sender.send_request(request)).await.unwrap() {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(!error.is_timeout(), "{error}"), // refused within the protocol
    }
    let mut sender = connect(cluster.address()).await;
    assert_eq!(send(&mut sender, get("/work", "ann")).await.0.status(), 200);
    cluster
        .backend(0)
        .fail(foreshift_lab::Step::Request, foreshift_lab::Fault::Stall)
        .await;
    assert_eq!(send(&mut sender, get("/work", "ann")).await.0.status(), 504);
    let connect_request = Request::builder()
        .method("CONNECT")
        .uri("a:443")
        .body(whole(""))
        .unwrap();
    let refused = timeout(PATIENCE, sender.send_request(connect_request))
        .await
        .unwrap();
    assert!(refused.is_err() || refused.unwrap().status() == 405);
}

#[tokio::test]
async fn http2_requests_are_counted() {
    let cluster = Cluster::start(1, "").await;
    let mut sender = connect(cluster.address()).await;
    for _ in 0..3 {
        send(&mut sender, get("/work", "ann")).await;
    }
    let report = cluster.ingress.report().await.pools.remove(0);
    assert_eq!((report.nodes[0].requests, report.nodes[0].in_flight), (3, 0));
    assert_eq!(
        report
            .keys
            .iter()
            .map(|k| (k.key.as_str(), k.requests))
            .collect::<Vec<_>>(),
        [("ann", 3)]
    );
}
