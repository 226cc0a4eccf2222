//! Nodes that are slow, gone, or answer what is no HTTP.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, Recorder},
};
use foreshift_lab::{Fault, Step};
use foreshift_wire::{IngressEvent, NodeState};

async fn get(client: &mut Raw, path: &str, user: &str) -> u16 {
    client
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\n\r\n"
        ))
        .await;
    client.answer(false).await.status()
}

/// A request whose connection the node closed while it idled.
async fn after_an_idle_close(request: &str) -> (u16, Vec<String>) {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_node = node.accept().await;
    at_node.request().await.unwrap();
    at_node.ok("").await;
    client.answer(false).await;
    // The node takes the next request on the kept connection and drops it, as if it had closed it before.
    client.send(request).await;
    let mut seen = vec![at_node.request().await.unwrap().start];
    drop(at_node);
    let answers = async { client.answer(false).await.status() };
    let serves = async {
        let mut again = node.accept().await;
        if let Some(request) = again.request().await {
            seen.push(request.start);
            again.ok("").await;
        }
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        status = answers => status,
        () = serves => unreachable!("it never ends"),
    };
    (status, seen)
}

#[tokio::test]
async fn a_get_is_sent_again_where_the_node_had_closed_the_connection() {
    let (status, seen) = after_an_idle_close("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((status, seen.len()), (200, 2));
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    for request in [
        "POST /second HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "PATCH /second HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let (status, seen) = after_an_idle_close(request).await;
        assert_eq!((status, seen.len()), (502, 1), "{request:?}");
    }
}

#[tokio::test]
async fn a_connection_that_a_node_closed_is_not_used_for_a_post() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_node = node.accept().await;
    at_node.request().await.unwrap();
    // The end comes right behind the answer.
    at_node.ok("").await;
    drop(at_node);
    client.answer(false).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        .await;
    // Whether the data plane has seen the close yet or not, the POST arrives once at most.
    let mut again = tokio::select! {
        again = node.accept() => again,
        answer = client.answer(false) => {
            assert_eq!(answer.status(), 502);
            return;
        }
    };
    assert_eq!(again.request().await.unwrap().body, b"x");
    again.ok("").await;
    assert_eq!(client.answer(false).await.status(), 200);
}

#[tokio::test]
async fn a_node_that_does_not_answer_in_time_is_a_504() {
    let cluster = Cluster::start(1, "request_timeout = \"200ms\"").await;
    cluster.backend(0).fail(Step::Request, Fault::Stall).await;
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut client, "/work", "ann").await, 504);
    cluster.backend(0).heal().await;
    assert_eq!(
        get(&mut client, "/work", "ann").await,
        200,
        "the client's connection goes on"
    );
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_request_timeout_while_it_goes_on() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "request_timeout = \"2s\"", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        .await;
    let mut at_node = node.accept().await;
    at_node.head().await.unwrap();
    let begun = std::time::Instant::now();
    let mut steps = tokio::time::interval(std::time::Duration::from_millis(250));
    for _ in 0..10 {
        steps.tick().await;
        client.send("x").await;
        at_node.take(1).await;
    }
    assert!(begun.elapsed() > std::time::Duration::from_secs(2));
    at_node.ok("took it").await;
    assert_eq!(client.answer(false).await.text(), "took it");
}

#[tokio::test]
async fn what_is_no_answer_is_a_502() {
    for fault in [Fault::Reset, Fault::Garbage] {
        let cluster = Cluster::start(1, "").await;
        cluster.backend(0).fail(Step::Request, fault).await;
        let mut client = Raw::connect(cluster.address()).await;
        assert_eq!(get(&mut client, "/work", "ann").await, 502, "{fault:?}");
    }
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 999999\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
    ] {
        let mut client = Raw::connect(cluster.address()).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut at_node = node.accept().await;
        at_node.request().await.unwrap();
        at_node.send(answer).await;
        assert_eq!(client.answer(false).await.status(), 502, "{answer:?}");
        at_node.closes().await;
    }
}

#[tokio::test]
async fn a_request_finds_another_node_where_its_own_is_dead() {
    let mut cluster = Cluster::start(3, "").await;
    let users: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    let mut client = Raw::connect(cluster.address()).await;
    for user in &users {
        assert_eq!(get(&mut client, "/work", user).await, 200);
    }
    cluster.backends[1].take().unwrap().kill().await;
    for user in &users {
        assert_eq!(get(&mut client, "/work", user).await, 200, "{user}");
    }
    let suspect = cluster
        .event(|event| match event {
            IngressEvent::NodeSuspect { node, .. } => Some(node),
            _ => None,
        })
        .await;
    assert_eq!(suspect, common::node_id(1));
}

#[tokio::test]
async fn without_a_ready_node_it_is_a_503() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut client, "/", "ann").await, 200);
    cluster.set_state(0, node.address, NodeState::Down).await;
    // The routes arrive a moment after they are committed.
    while get(&mut client, "/", "ann").await == 200 {}
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.field("retry-after").as_deref(), Some("1"));
    cluster.set_state(0, node.address, NodeState::Ready).await;
    while get(&mut client, "/", "ann").await == 503 {}
    assert_eq!(get(&mut client, "/", "ann").await, 200);
}

#[tokio::test]
async fn a_pool_of_dead_nodes_is_a_502() {
    let mut cluster = Cluster::start(2, "").await;
    for backend in &mut cluster.backends {
        backend.take().unwrap().kill().await;
    }
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut client, "/work", "ann").await, 502);
}
