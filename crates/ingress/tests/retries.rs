//! What is sent again where a node fails, and what never is.

mod common;

use std::time::{Duration, Instant};

use common::{
    Cluster, HOOKS, PATIENCE,
    raw::{Raw, RawNode, handshake},
};
use foreshift_lab::{Fault, Step};

const RETRIES: &str =
    "retry = { on = [\"connect\", \"reset\", \"timeout\", \"503\"], per_try_timeout = \"200ms\" }";

async fn two_nodes(pool: &str) -> ([RawNode; 2], Cluster) {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let cluster = Cluster::over(&nodes.each_ref().map(|n| n.address), pool, "").await;
    (nodes, cluster)
}

/// The node that is asked first, with its connection, and the other one.
async fn first_asked(nodes: &[RawNode; 2]) -> (Raw, &RawNode) {
    tokio::select! {
        raw = nodes[0].accept() => (raw, &nodes[1]),
        raw = nodes[1].accept() => (raw, &nodes[0]),
    }
}

/// How a node fails a request.
#[derive(Debug, Clone, Copy)]
enum Failing {
    Says503,
    HangsUp,
    SaysNothing,
}

async fn fail(mut node: Raw, failing: Failing) -> Option<Raw> {
    node.request().await.expect("a request");
    match failing {
        Failing::Says503 => {
            node.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
                .await;
            Some(node)
        }
        Failing::HangsUp => None,
        Failing::SaysNothing => Some(node),
    }
}

#[tokio::test]
async fn a_get_that_a_node_fails_is_answered_by_the_next() {
    for failing in [Failing::Says503, Failing::HangsUp, Failing::SaysNothing] {
        let (nodes, cluster) = two_nodes(RETRIES).await;
        let mut client = Raw::connect(cluster.address()).await;
        client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let (first, other) = first_asked(&nodes).await;
        let _kept = fail(first, failing).await;
        let mut second = other.accept().await;
        assert_eq!(
            second.request().await.expect("the same request").path(),
            "/a",
            "{failing:?}"
        );
        second.ok("here").await;
        assert_eq!(client.answer(false).await.text(), "here", "{failing:?}");
        let report = cluster.report_that(|_| true).await;
        let retries: u64 = report.nodes.iter().map(|n| n.resilience.retries).sum();
        assert_eq!(retries, 1, "{failing:?}");
    }
}

#[tokio::test]
async fn a_post_is_sent_once_however_it_fails() {
    for request in [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "PATCH /a HTTP/1.1\r\nHost: a\r\n\r\n",
        // Idempotent, but what was sent of it is not here any more.
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    ] {
        for (failing, status) in [
            (Failing::Says503, 503),
            (Failing::HangsUp, 502),
            (Failing::SaysNothing, 504),
        ] {
            let pool = format!("{RETRIES}\nrequest_timeout = \"300ms\"");
            let (nodes, cluster) = two_nodes(&pool).await;
            let mut client = Raw::connect(cluster.address()).await;
            client.send(request).await;
            let (first, other) = first_asked(&nodes).await;
            let _kept = fail(first, failing).await;
            assert_eq!(
                client.answer(false).await.status(),
                status,
                "{request:?} {failing:?}"
            );
            assert!(other.is_left_alone(), "{request:?} {failing:?}");
        }
    }
}

#[tokio::test]
async fn a_post_finds_another_node_where_nothing_listens() {
    let cluster = Cluster::start(3, "").await;
    let mut cluster = cluster;
    cluster.backends[0].take().expect("running").kill().await;
    let mut client = Raw::connect(cluster.address()).await;
    for n in 0..30 {
        let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nx-user: {n}\r\nContent-Length: 2\r\n\r\nhi");
        client.send(head).await;
        assert_eq!(client.answer(false).await.text(), "hi", "{n}");
    }
}

#[tokio::test]
async fn a_websocket_that_its_node_refuses_opens_on_the_next() {
    let (nodes, cluster) = two_nodes(RETRIES).await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send(handshake("ann", "")).await;
    let (first, other) = first_asked(&nodes).await;
    let _kept = fail(first, Failing::Says503).await;
    other.accept().await.agree("").await;
    assert_eq!(client.answer(true).await.status(), 101);
}

#[tokio::test]
async fn where_nodes_have_state_the_same_node_is_asked_again() {
    let (nodes, cluster) = two_nodes(&format!("{HOOKS}{RETRIES}")).await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (first, other) = first_asked(&nodes).await;
    let at = first.stream.local_addr().expect("connected");
    let _kept = fail(first, Failing::Says503).await;
    let same = nodes.iter().find(|n| n.address == at).expect("one of the two");
    let mut again = same.accept().await;
    again.request().await.expect("the same request");
    again.ok("here").await;
    assert_eq!(client.answer(false).await.text(), "here");
    assert!(other.is_left_alone());
}

#[tokio::test]
async fn a_wait_that_a_node_asks_for_and_that_is_too_long_is_left_to_the_client() {
    let (nodes, cluster) = two_nodes(RETRIES).await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut first, other) = first_asked(&nodes).await;
    first.request().await.expect("a request");
    first
        .send("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status(), answer.field("retry-after").as_deref()),
        (503, Some("7"))
    );
    assert!(other.is_left_alone());
}

#[tokio::test]
async fn the_last_failure_is_the_clients() {
    let mut cluster = Cluster::start(2, RETRIES).await;
    for n in 0..2 {
        cluster.backend(n).fail(Step::Request, Fault::Refuse).await;
    }
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET /work HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (503, "asked to fail\n")
    );
    cluster.backends.clear();
}

#[tokio::test]
async fn while_everything_fails_the_nodes_get_the_budget_and_no_more() {
    let pool = "retry = { on = [\"503\"], budget = 0.1, budget_min_per_second = 0, backoff_max = \"1ms\" }";
    let cluster = Cluster::start(2, pool).await;
    for n in 0..2 {
        cluster.backend(n).fail(Step::Request, Fault::Refuse).await;
    }
    let mut client = Raw::connect(cluster.address()).await;
    let requests = 200;
    for _ in 0..requests {
        client.send("GET /work HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.answer(false).await.status(), 503);
    }
    let report = cluster.report_that(|_| true).await;
    let retries: u64 = report.nodes.iter().map(|n| n.resilience.retries).sum();
    // A tenth, and the one that a worker begins with.
    assert!((19..=21).contains(&retries), "{retries}");
    assert!(
        report.over_retry_budget >= requests - retries,
        "{}",
        report.over_retry_budget
    );
}

#[tokio::test]
async fn a_node_that_stalls_costs_a_try_and_not_the_request() {
    let pool = "request_timeout = \"30s\"\nretry = { on = [\"timeout\"], per_try_timeout = \"100ms\" }";
    let cluster = Cluster::start(2, pool).await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n")
        .await;
    client.answer(false).await;
    let home = cluster.home("ann").await;
    cluster.backend(home).fail(Step::Request, Fault::Stall).await;
    let begun = Instant::now();
    client
        .send("GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 200);
    let took = begun.elapsed();
    assert!(
        Duration::from_millis(100) <= took && took < PATIENCE / 4,
        "{took:?}"
    );
}
