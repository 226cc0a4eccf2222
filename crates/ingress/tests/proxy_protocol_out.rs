//! Nodes are told who the client is, in front of each connection, and no connection serves two clients then.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, frame},
};
use foreshift_ingress::parsers::{ProxyProtocolHeader, proxy_protocol};
use foreshift_wire::ProxyVersion;

/// Takes a header byte by byte, so that nothing behind it is lost.
async fn header(node: &mut Raw, version: ProxyVersion) -> ProxyProtocolHeader {
    let mut bytes = Vec::new();
    loop {
        bytes.extend(node.take(1).await);
        if let Some((header, length)) = proxy_protocol(version, &bytes).expect("a header") {
            assert_eq!(length, bytes.len());
            return header;
        }
    }
}

fn of(client: &Raw, cluster: &Cluster) -> ProxyProtocolHeader {
    ProxyProtocolHeader::client(client.stream.local_addr().unwrap(), cluster.address())
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn exchange(client: &mut Raw, at_node: &mut Raw) {
    client.send(REQUEST).await;
    at_node.request().await.expect("a request");
    at_node.ok("hello").await;
    assert_eq!(client.answer(false).await.text(), "hello");
}

#[tokio::test]
async fn each_client_has_connections_of_its_own() {
    for (version, name) in [(ProxyVersion::V1, "v1"), (ProxyVersion::V2, "v2")] {
        let node = RawNode::start().await;
        let pool = format!("send_proxy_protocol = \"{name}\"");
        let cluster = Cluster::over(&[node.address], &pool, "").await;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = Raw::connect(cluster.address()).await;
            client.send(REQUEST).await;
            let mut at_node = node.accept().await;
            assert_eq!(
                header(&mut at_node, version).await,
                of(&client, &cluster),
                "{name}"
            );
            at_node.request().await.expect("a request");
            at_node.ok("hello").await;
            assert_eq!(client.answer(false).await.text(), "hello");
            clients.push((client, at_node));
        }
        for (client, at_node) in &mut clients {
            // Its own connection is kept for its next request.
            exchange(client, at_node).await;
        }
        assert!(node.is_left_alone());
        for (client, mut at_node) in clients {
            drop(client);
            at_node.closes().await;
        }
    }
}

#[tokio::test]
async fn requests_over_http2_are_announced_too() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "send_proxy_protocol = \"v2\"", "").await;
    for _ in 0..2 {
        let socket = tokio::net::TcpStream::connect(cluster.address()).await.unwrap();
        let source = socket.local_addr().unwrap();
        let io = hyper_util::rt::TokioIo::new(socket);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io)
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut at_node = None;
        for _ in 0..2 {
            let request = http::Request::get("http://a/").body(http_body_util::Empty::<bytes::Bytes>::new());
            let answer = tokio::spawn(sender.send_request(request.unwrap()));
            let at_node = match &mut at_node {
                Some(at_node) => at_node,
                None => {
                    let accepted = at_node.insert(node.accept().await);
                    let expected = ProxyProtocolHeader::client(source, cluster.address());
                    assert_eq!(header(accepted, ProxyVersion::V2).await, expected);
                    accepted
                }
            };
            at_node.request().await.expect("a request");
            at_node.ok("").await;
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
        assert!(node.is_left_alone());
    }
}

#[tokio::test]
async fn a_websocket_that_moves_is_announced_to_its_new_node() {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let addresses = [nodes[0].address, nodes[1].address];
    let mut cluster = Cluster::over(&addresses, "send_proxy_protocol = \"v1\"", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send(common::raw::handshake("ann", "")).await;
    let (from, mut old) = tokio::select! {
        raw = nodes[0].accept() => (0, raw),
        raw = nodes[1].accept() => (1, raw),
    };
    assert_eq!(header(&mut old, ProxyVersion::V1).await, of(&client, &cluster));
    old.agree("").await;
    client.answer(true).await;

    let id = cluster.order("ann", from, 1 - from).await;
    let mut new = nodes[1 - from].accept().await;
    assert_eq!(header(&mut new, ProxyVersion::V1).await, of(&client, &cluster));
    let ping = old.frame().await.expect("the barrier");
    old.send(frame(0x8a, false, &ping.payload)).await;
    assert!(new.agree("").await.field("foreshift-resume").is_some());
    cluster.outcome(id).await.expect("it moves");
    new.send(frame(0x81, false, b"hello")).await;
    old.send(frame(0x88, false, b"")).await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn what_a_header_named_is_what_the_node_is_told() {
    let node = RawNode::start().await;
    let listener = "trusted = [\"127.0.0.1/32\"]\nproxy_protocol = \"v1\"";
    let cluster = Cluster::listening(listener, &[node.address], "send_proxy_protocol = \"v2\"", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n")
        .await;
    client.send(REQUEST).await;
    let mut at_node = node.accept().await;
    let (source, destination) = ("[2001:db8::1]:4711", "[2001:db8::2]:443");
    assert_eq!(
        header(&mut at_node, ProxyVersion::V2).await,
        ProxyProtocolHeader::client(source.parse().unwrap(), destination.parse().unwrap())
    );
    at_node.request().await.expect("a request");
}

#[tokio::test]
async fn hooks_speak_for_themselves() {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let addresses = [nodes[0].address, nodes[1].address];
    let pool = format!("{}send_proxy_protocol = \"v2\"", common::HOOKS);
    let mut cluster = Cluster::over(&addresses, &pool, "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send(common::raw::handshake("ann", "")).await;
    let (from, mut old) = tokio::select! {
        raw = nodes[0].accept() => (0, raw),
        raw = nodes[1].accept() => (1, raw),
    };
    header(&mut old, ProxyVersion::V2).await;
    old.agree("").await;
    client.answer(true).await;
    cluster.order("ann", from, 1 - from).await;
    header(&mut nodes[1 - from].accept().await, ProxyVersion::V2).await;
    let mut hook = nodes[from].accept().await;
    assert_eq!(
        header(&mut hook, ProxyVersion::V2).await,
        ProxyProtocolHeader::Own
    );
    assert_eq!(hook.request().await.expect("the hook").path(), "/handoff");
}
