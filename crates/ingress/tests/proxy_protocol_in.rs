//! A load balancer in front names the client, and only one that is trusted does.

mod common;

use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode},
};
use foreshift_ingress::parsers::{ProxyProtocolHeader, write_proxy_protocol};
use foreshift_wire::{ConnectionFilter, ProxyVersion};

const TRUSTED: &str = "affinity = [{ source_address = 32 }]\ntrusted = [\"127.0.0.0/8\"]\n";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n";

async fn start(listener: &str, rest: &str) -> (RawNode, Cluster) {
    let node = RawNode::start().await;
    let cluster = Cluster::listening(listener, &[node.address], "", rest).await;
    (node, cluster)
}

fn header(version: ProxyVersion, client: &str) -> Vec<u8> {
    let destination = "198.51.100.1:443".parse().unwrap();
    let mut bytes = Vec::new();
    let header = ProxyProtocolHeader::client(client.parse().unwrap(), destination);
    write_proxy_protocol(version, &header, &mut bytes);
    bytes
}

async fn refused(cluster: &Cluster) -> u64 {
    cluster.ingress.report().await.pools[0].refused
}

#[tokio::test]
async fn the_client_that_is_named_is_the_client() {
    for (version, name) in [(ProxyVersion::V1, "v1"), (ProxyVersion::V2, "v2")] {
        let (node, cluster) = start(&format!("{TRUSTED}proxy_protocol = \"{name}\""), "").await;
        let mut client = Raw::connect(cluster.address()).await;
        let mut bytes = header(version, "203.0.113.9:4711");
        bytes.extend_from_slice(REQUEST.as_bytes());
        client.send(bytes).await;
        let mut at_node = node.accept().await;
        let request = at_node.request().await.unwrap();
        assert_eq!(
            request.field("x-forwarded-for").as_deref(),
            Some("192.0.2.99, 203.0.113.9"),
            "{name}"
        );
        let listed = cluster.ingress.connections(ConnectionFilter::default()).await;
        assert_eq!(
            (listed[0].client.as_str(), listed[0].key.as_str()),
            ("203.0.113.9:4711", "203.0.113.9")
        );
        at_node.ok("hello").await;
        assert_eq!(client.answer(false).await.text(), "hello");
        assert_eq!(refused(&cluster).await, 0);
    }
}

#[tokio::test]
async fn a_header_for_nobody_keeps_the_sockets_address() {
    for (version, name) in [(ProxyVersion::V1, "v1"), (ProxyVersion::V2, "v2")] {
        let (node, cluster) = start(&format!("{TRUSTED}proxy_protocol = \"{name}\""), "").await;
        let mut client = Raw::connect(cluster.address()).await;
        client
            .send([version.own_header(), REQUEST.as_bytes()].concat())
            .await;
        let request = node.accept().await.request().await.unwrap();
        assert_eq!(
            request.field("x-forwarded-for").as_deref(),
            Some("192.0.2.99, 127.0.0.1"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_does_not_begin_with_this_version_is_refused_and_counted() {
    let (node, cluster) = start(&format!("{TRUSTED}proxy_protocol = \"v2\""), "").await;
    let beginnings = [
        REQUEST.as_bytes().to_vec(),
        header(ProxyVersion::V1, "203.0.113.9:1"),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
    ];
    for (n, beginning) in beginnings.iter().enumerate() {
        let mut client = Raw::connect(cluster.address()).await;
        client.send(beginning).await;
        client.closes().await;
        assert_eq!(refused(&cluster).await, 1, "{n}");
    }
    assert!(node.is_left_alone());
}

#[tokio::test]
async fn whoever_is_not_trusted_is_refused_at_once() {
    let listener = "trusted = [\"10.0.0.0/8\", \"::1/128\"]\nproxy_protocol = \"v1\"";
    let (node, cluster) = start(listener, "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.closes().await;
    assert_eq!(refused(&cluster).await, 1);
    assert!(node.is_left_alone());
}

#[tokio::test]
async fn a_header_that_does_not_end_in_time_is_refused() {
    let listener = format!("{TRUSTED}proxy_protocol = \"v1\"");
    let (_node, cluster) = start(&listener, "[ingress.limits]\nheader_timeout = \"200ms\"").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send("PROXY TCP4 203.").await;
    client.closes().await;
    assert_eq!(refused(&cluster).await, 1);
}

#[tokio::test]
async fn a_header_may_come_in_any_pieces() {
    let (node, cluster) = start(&format!("{TRUSTED}proxy_protocol = \"v1\""), "").await;
    let mut client = Raw::connect(cluster.address()).await;
    for byte in header(ProxyVersion::V1, "203.0.113.9:4711") {
        client.send([byte]).await;
    }
    client.send(REQUEST).await;
    let request = node.accept().await.request().await.unwrap();
    assert_eq!(
        request.field("x-forwarded-for").as_deref(),
        Some("192.0.2.99, 203.0.113.9")
    );
}

#[tokio::test]
async fn limits_hold_for_each_named_client_and_not_for_the_load_balancer() {
    let listener = format!("{TRUSTED}proxy_protocol = \"v1\"");
    let (node, cluster) = start(&listener, "[ingress.limits]\nconnections_per_source = 2").await;
    let mut open = Vec::new();
    for client in ["203.0.113.1:1", "203.0.113.1:2", "203.0.113.2:1", "203.0.113.2:2"] {
        let mut raw = Raw::connect(cluster.address()).await;
        raw.send([&header(ProxyVersion::V1, client)[..], REQUEST.as_bytes()].concat())
            .await;
        let mut at_node = node.accept().await;
        at_node.request().await.unwrap();
        open.push((raw, at_node));
    }
    let mut third = Raw::connect(cluster.address()).await;
    third.send(header(ProxyVersion::V1, "203.0.113.1:3")).await;
    assert_eq!(third.answer(false).await.status(), 503);
}

#[tokio::test]
async fn without_the_key_a_header_is_nothing_special() {
    let (node, cluster) = start("affinity = [{ source_address = 32 }]", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client.send(header(ProxyVersion::V1, "203.0.113.9:1")).await;
    client.send(REQUEST).await;
    let answer = tokio::time::timeout(PATIENCE, client.answer(false))
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(node.is_left_alone());
}
