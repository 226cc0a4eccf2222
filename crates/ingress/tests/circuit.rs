//! Limits of a node: who waits, who is refused, and that they hold for the process.

mod common;

use common::{
    Cluster, node_id,
    raw::{Raw, RawNode, handshake},
    record,
};
use foreshift_wire::{NodeState, PoolReport};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn one_node(circuit: &str) -> (RawNode, Cluster) {
    let node = RawNode::start().await;
    let pool = format!("circuit = {{ {circuit} }}");
    let cluster = Cluster::over(&[node.address], &pool, "").await;
    (node, cluster)
}

async fn ask(cluster: &Cluster) -> Raw {
    let mut client = Raw::connect(cluster.address()).await;
    client.send(GET).await;
    client
}

async fn status(cluster: &Cluster) -> u16 {
    ask(cluster).await.answer(false).await.status()
}

fn waiting(n: u32) -> impl Fn(&PoolReport) -> bool {
    move |report| {
        report
            .nodes
            .iter()
            .map(|node| node.resilience.pending)
            .sum::<u32>()
            == n
    }
}

#[tokio::test]
async fn the_breaker_opens_at_the_limit_and_closes_behind_it() {
    for limit in ["connections", "requests"] {
        let (node, cluster) = one_node(&format!("{limit} = 1, pending = 0")).await;
        for round in 0..3 {
            let mut first = ask(&cluster).await;
            let mut at_node = node.accept().await;
            at_node.request().await.expect("the request");
            let mut second = ask(&cluster).await;
            let refused = second.answer(false).await;
            assert_eq!(refused.status(), 503, "{limit} {round}");
            assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
            let report = cluster.report_that(|_| true).await;
            assert_eq!(report.nodes[0].resilience.queue_full, 1);
            at_node
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            assert_eq!(first.answer(false).await.status(), 200);
            // The place is given back a moment after the answer was.
            cluster.report_that(|report| report.nodes[0].in_flight == 0).await;
        }
    }
}

#[tokio::test]
async fn who_waits_is_served_in_the_order_of_coming() {
    let (node, cluster) = one_node("connections = 1, pending_timeout = \"30s\"").await;
    let mut clients = Vec::new();
    for n in 0..4 {
        let mut client = Raw::connect(cluster.address()).await;
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        clients.push(client);
        let in_flight = |report: &PoolReport| report.nodes[0].in_flight == 1;
        cluster
            .report_that(|report| in_flight(report) && waiting(n)(report))
            .await;
    }
    let mut at_node = node.accept().await;
    for (n, client) in clients.iter_mut().enumerate() {
        // Each worker has connections of its own.
        let request = tokio::select! {
            biased;
            request = at_node.request() => request,
            new = node.accept() => {
                at_node = new;
                at_node.request().await
            }
        };
        assert_eq!(request.expect("a request").path(), format!("/{n}"));
        at_node.ok("").await;
        assert_eq!(client.answer(false).await.status(), 200);
    }
}

#[tokio::test]
async fn a_limit_holds_for_all_workers_together() {
    let node = RawNode::start().await;
    let pool = "circuit = { connections = 2, pending_timeout = \"30s\" }";
    let cluster = Cluster::over(&[node.address], pool, "[ingress]\nworkers = 4").await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(ask(&cluster).await);
    }
    cluster.report_that(waiting(10)).await;
    let mut served = [node.accept().await, node.accept().await];
    for at_node in &mut served {
        at_node.request().await.expect("a request");
    }
    assert!(node.is_left_alone(), "ten wait");
}

#[tokio::test]
async fn who_waited_too_long_is_refused() {
    let (node, cluster) = one_node("requests = 1, pending_timeout = \"100ms\"").await;
    let _first = ask(&cluster).await;
    let mut at_node = node.accept().await;
    at_node.request().await.expect("the request");
    assert_eq!(status(&cluster).await, 503);
    let report = cluster.report_that(|_| true).await;
    assert_eq!(report.nodes[0].resilience.waited_in_vain, 1);
}

#[tokio::test]
async fn an_open_websocket_is_a_connection_and_no_request() {
    let (node, cluster) = one_node("connections = 2, requests = 1, pending = 0").await;
    let mut socket = Raw::connect(cluster.address()).await;
    socket.send(handshake("ann", "")).await;
    let mut at_node = node.accept().await;
    at_node.agree("").await;
    assert_eq!(socket.answer(true).await.status(), 101);
    // The handshake's place among the requests is given back a moment after its answer was.
    cluster.report_that(|report| report.nodes[0].in_flight == 0).await;
    let mut request = ask(&cluster).await;
    let mut busy = node.accept().await;
    busy.request()
        .await
        .expect("there is room for one beside the socket");
    assert_eq!(status(&cluster).await, 503);
    busy.ok("").await;
    assert_eq!(request.answer(false).await.status(), 200);
}

#[tokio::test]
async fn a_limit_set_at_run_time_counts_what_is_open() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut socket = Raw::connect(cluster.address()).await;
    socket.send(handshake("ann", "")).await;
    let mut at_node = node.accept().await;
    at_node.agree("").await;
    assert_eq!(socket.answer(true).await.status(), 101);

    let mut limited = record(0, node.address, NodeState::Ready);
    limited.spec.maxconn = Some(1);
    cluster.set_record(&limited).await;
    // The limit arrives a moment after it was committed.
    let mut waits = loop {
        let mut client = ask(&cluster).await;
        tokio::select! {
            _ = cluster.report_that(waiting(1)) => break client,
            mut early = node.accept() => {
                early.request().await.expect("the request");
                early.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                client.answer(false).await;
            }
        }
    };
    assert!(node.is_left_alone());

    limited.spec.maxconn = Some(2);
    cluster.set_record(&limited).await;
    let mut served = node.accept().await;
    served.request().await.expect("there is room now");
    served.ok("").await;
    assert_eq!(waits.answer(false).await.status(), 200);
    drop((socket, at_node));
}

#[tokio::test]
async fn a_closed_websocket_makes_room() {
    let (node, cluster) = one_node("connections = 1, pending_timeout = \"30s\"").await;
    let mut socket = Raw::connect(cluster.address()).await;
    socket.send(handshake("ann", "")).await;
    let mut at_node = node.accept().await;
    at_node.agree("").await;
    assert_eq!(socket.answer(true).await.status(), 101);
    let mut waits = ask(&cluster).await;
    cluster.report_that(waiting(1)).await;
    drop(socket);
    let mut served = node.accept().await;
    served.request().await.expect("there is room now");
    served.ok("").await;
    assert_eq!(waits.answer(false).await.status(), 200);
}

#[tokio::test]
async fn what_has_no_room_goes_to_the_next_node_where_the_pool_says_so() {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let pool = "circuit = { connections = 1, pending = 0, overflow = \"next\" }";
    let cluster = Cluster::over(&nodes.each_ref().map(|n| n.address), pool, "").await;
    let mut first = ask(&cluster).await;
    let (mut full, other, index) = tokio::select! {
        raw = nodes[0].accept() => (raw, &nodes[1], 0),
        raw = nodes[1].accept() => (raw, &nodes[0], 1),
    };
    full.request().await.expect("the first request");
    let mut second = ask(&cluster).await;
    let mut served = other.accept().await;
    served.request().await.expect("the second request");
    assert_eq!(status(&cluster).await, 503, "now both are full");
    served.ok("other").await;
    full.ok("own").await;
    assert_eq!(second.answer(false).await.text(), "other");
    assert_eq!(first.answer(false).await.text(), "own");
    let report = cluster.report_that(|_| true).await;
    let counted = report
        .nodes
        .iter()
        .find(|n| n.node == node_id(index))
        .expect("reported");
    assert_eq!(
        (counted.resilience.overflowed, counted.resilience.queue_full),
        (1, 1)
    );
}
