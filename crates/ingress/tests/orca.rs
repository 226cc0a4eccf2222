//! Load reports that nodes put into their answers (ORCA): read, told, and kept from the client.

mod common;

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode},
};
use foreshift_wire::InBandReport;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Request, Response, body::Frame, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, net::TcpStream, time::timeout};

const ONE_WORKER: &str = "[ingress]\nworkers = 1";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn told(cluster: &Cluster) -> Option<InBandReport> {
    cluster
        .ingress
        .report()
        .await
        .pools
        .remove(0)
        .nodes
        .remove(0)
        .in_band
}

/// What the client gets where the node answers in these pieces.
async fn answered(cluster: &Cluster, node: &RawNode, pieces: &[&str]) -> String {
    let mut client = Raw::connect(cluster.address()).await;
    client.send(GET).await;
    let mut at_node = node.accept().await;
    at_node.request().await.unwrap();
    for piece in pieces {
        at_node.send(piece).await;
        // The pieces arrive one by one: the ingress is seen to have passed the first on.
        tokio::task::yield_now().await;
    }
    drop(at_node);
    String::from_utf8(client.until_closed().await).unwrap()
}

#[tokio::test]
async fn a_report_in_the_head_is_told_and_the_client_does_not_see_it() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "orca = true", ONE_WORKER).await;
    assert_eq!(told(&cluster).await, None);
    let answer = answered(
        &cluster,
        &node,
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nEndpoint-Load-Metrics: TEXT cpu_utilization=0.3,mem_utilization=0.8\r\n\
           X-A: 1\r\nendpoint-load-metrics: TEXT cpu=0.9\r\n\r\nok"],
    )
    .await;
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nConnection: close\r\n\r\nok"
    );
    let heard = told(&cluster).await.expect("the node reported");
    assert_eq!((heard.load.cpu, heard.load.memory), (Some(0.3), Some(0.8)));
    assert_eq!((heard.reports, heard.refused), (1, 0));
    assert_eq!(told(&cluster).await, None, "each report is told once");
}

#[tokio::test]
async fn a_report_in_the_trailers_is_told_however_they_are_cut() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "orca = true", ONE_WORKER).await;
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole =
        "2\r\nok\r\n0\r\nX-Sum: 7\r\nendpoint-load-metrics: JSON {\"cpu_utilization\":0.4}\r\nX-B: 2\r\n\r\n";
    for cut in 0..whole.len() {
        let (first, second) = whole.split_at(cut);
        let answer = answered(&cluster, &node, &[head, first, second]).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "2\r\nok\r\n0\r\nX-Sum: 7\r\nX-B: 2\r\n\r\n", "cut at {cut}");
        assert_eq!(told(&cluster).await.unwrap().load.cpu, Some(0.4), "cut at {cut}");
    }
    let plain = answered(&cluster, &node, &[head, "2\r\nok\r\n", "0\r\n\r\n"]).await;
    assert!(plain.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{plain:?}");
}

#[tokio::test]
async fn garbage_is_counted_with_its_reason_and_kept_from_the_client_too() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "orca = true", ONE_WORKER).await;
    let answer = answered(
        &cluster,
        &node,
        &["HTTP/1.1 204 No Content\r\nendpoint-load-metrics: TEXT cpu_utilization=1e300\r\n\r\n"],
    )
    .await;
    assert!(!answer.contains("load-metrics"), "{answer}");
    let heard = told(&cluster).await.unwrap();
    assert_eq!((heard.reports, heard.refused, heard.load.cpu), (0, 1, None));
    assert!(
        heard
            .error
            .unwrap()
            .starts_with("cpu_utilization: 1e300 is out of range")
    );
}

#[tokio::test]
async fn only_a_pool_that_asks_for_reports_has_its_answers_changed() {
    let head = "HTTP/1.1 204 No Content\r\nendpoint-load-metrics: TEXT cpu=0.5\r\n\r\n";
    for (pool, passed, heard) in [
        ("", true, false),
        ("orca = false", true, false),
        ("orca = { in_band = false, out_of_band = \"10s\" }", false, false),
        ("orca = { metrics = [\"named_metrics.queue\"] }", false, true),
    ] {
        let node = RawNode::start().await;
        let cluster = Cluster::over(&[node.address], pool, ONE_WORKER).await;
        let answer = answered(&cluster, &node, &[head]).await;
        assert_eq!(answer.contains("load-metrics"), passed, "{pool}: {answer}");
        assert_eq!(told(&cluster).await.is_some(), heard, "{pool}");
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A node that speaks HTTP/2 and reports in its head and in its trailers, as gRPC does.
async fn http2_node() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |_: Request<hyper::body::Incoming>| {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                // cpu_utilization 0.1, without the padding, as gRPC writes it.
                trailers.insert("endpoint-load-metrics-bin", "CZqZmZmZmbk/".parse().unwrap());
                let frames =
                    [Frame::data(Bytes::from("ok")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                let body: Body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
                let report = "TEXT mem_utilization=0.6";
                Response::builder()
                    .header("endpoint-load-metrics", report)
                    .body(body)
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn http2_heads_and_trailers_are_read_and_stripped_too() {
    let pool = "upstream_protocol = \"h2c\"\norca = true";
    let cluster = Cluster::over(&[http2_node().await], pool, ONE_WORKER).await;
    let stream = TcpStream::connect(cluster.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://lab.example/")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    assert!(!answer.headers().contains_key("endpoint-load-metrics"));
    let body = timeout(PATIENCE, answer.into_body().collect())
        .await
        .unwrap()
        .unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    let heard = told(&cluster).await.unwrap();
    assert_eq!((heard.load.memory, heard.load.cpu), (Some(0.6), Some(0.1)));
    assert_eq!(heard.reports, 2);
}
