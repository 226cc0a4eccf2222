//! A session that was revoked is not let in, and what it had open is closed.

mod common;

use std::sync::Arc;

use common::{
    Cluster,
    raw::{Raw, handshake},
    state::{StateNode, Store},
};
use foreshift_wire::SessionId;

const GET: &str = "GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n";

async fn stage(listener: &str, pool: &str) -> (Cluster, StateNode, Store, SessionId) {
    let store = Store::default();
    let node = StateNode::start(0, &store).await;
    let state = Arc::new(store.clone());
    let cluster = Cluster::carrying(listener, &[node.address], pool, &["cart"], state).await;
    let session = cluster.session("ann");
    (cluster, node, store, session)
}

#[tokio::test]
async fn requests_and_handshakes_are_refused_with_plain_text() {
    let (cluster, node, store, session) = stage("", "").await;
    store.revoke(session);
    for request in [GET.to_owned(), handshake("ann", "")] {
        let mut client = Raw::connect(cluster.address()).await;
        client.send(request).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.field("content-type").as_deref(), Some("text/plain"));
        assert_eq!(answer.text(), "this session was revoked\n");
    }
    assert!(node.heads().is_empty(), "the node hears nothing of it");
    let mut other = Raw::connect(cluster.address()).await;
    other.send(GET.replace("ann", "bob")).await;
    assert_eq!(other.answer(false).await.status(), 200);
}

#[tokio::test]
async fn what_is_open_is_closed() {
    let (cluster, _node, store, session) = stage("", "").await;
    let mut request = Raw::connect(cluster.address()).await;
    request.send(GET).await;
    assert_eq!(request.answer(false).await.status(), 200);
    let (mut socket, _) = Raw::websocket(cluster.address(), "ann", "").await;
    let (mut other, _) = Raw::websocket(cluster.address(), "bob", "").await;
    let mut events = Raw::connect(cluster.address()).await;
    events
        .send("GET /events HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n")
        .await;
    events.head().await.expect("an answer");
    events.chunk().await.expect("an event");

    store.revoke(session);
    cluster.ingress.end_session(session);
    let close = socket.frame().await.expect("a close frame");
    assert_eq!(close.close_code(), Some(1008));
    events.until_closed().await;
    // Not even a connection that was told before, and it is closed behind its answer.
    request.send(GET).await;
    let answer = request.answer(false).await;
    assert_eq!(
        (answer.status(), answer.field("connection").as_deref()),
        (403, Some("close"))
    );
    request.closes().await;
    other.send(common::raw::frame(0x81, true, b"on")).await;
    assert_eq!(other.text().await, "n0 on", "others go on");
}

#[tokio::test]
async fn framed_connections_are_closed() {
    let listener = "protocol = \"tcp\"\nframing = \"line\"\n";
    let (cluster, _node, store, _) = stage(listener, "").await;
    let session = cluster.session("127.0.0.1");
    let mut open = Raw::connect(cluster.address()).await;
    open.send("GET /a HTTP/1.1\r\n").await;
    while cluster.ingress.connections(Default::default()).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let listed = cluster.ingress.connections(Default::default()).await;
    let session = listed.first().map_or(session, |c| c.session);
    store.revoke(session);
    cluster.ingress.end_session(session);
    open.closes().await;
    let mut again = Raw::connect(cluster.address()).await;
    again.closes().await;
}
