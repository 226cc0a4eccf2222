//! What a node is told about a request, and what a client cannot tell it.

mod common;

use std::collections::BTreeMap;

use common::{
    Cluster,
    raw::{Raw, Recorder},
};

#[tokio::test]
async fn a_client_cannot_speak_in_our_name() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: shop.example\r\nx-user: ann\r\nForeshift-Session: 1\r\nforeshift-resume: 1\r\n\
             FORESHIFT-CONNECTION: 1\r\nForeshift-Anything: 1\r\nForeshift_Session: 1\r\nX-Forwarded-For: 198.51.100.9\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\r\n",
        )
        .await;
    client.answer(false).await;
    let head = node.heads().remove(0);
    let ours: BTreeMap<_, _> = head
        .fields
        .iter()
        .map(|(n, v)| (n.to_ascii_lowercase().replace('_', "-"), v.clone()))
        .filter(|(n, _)| n.starts_with("foreshift"))
        .collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert_eq!(ours["foreshift-session"], cluster.session("ann").to_string());
    assert_ne!(ours["foreshift-connection"], "1, 1");
    let fields = head
        .fields
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case("foreshift-session"));
    assert_eq!(fields.count(), 1);
    for (name, value) in [
        ("host", "shop.example"),
        ("x-forwarded-for", "198.51.100.9, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example"),
        ("x-user", "ann"),
    ] {
        assert_eq!(head.field(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_session_is_named_by_its_key_and_a_connection_by_itself() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    for _ in 0..2 {
        let mut client = Raw::connect(cluster.address()).await;
        for user in ["ann", "bob", "ann"] {
            client
                .send(format!("GET / HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\n\r\n"))
                .await;
            client.answer(false).await;
        }
    }
    let field = |name: &str| -> Vec<String> { node.heads().iter().map(|h| h.field(name).unwrap()).collect() };
    let (ann, bob) = (
        cluster.session("ann").to_string(),
        cluster.session("bob").to_string(),
    );
    assert_eq!(
        field("foreshift-session"),
        [&ann, &bob, &ann, &ann, &bob, &ann].map(String::clone)
    );
    let connections = field("foreshift-connection");
    assert_eq!(connections[0], connections[2]);
    assert_eq!(connections[3], connections[5]);
    assert_ne!(connections[0], connections[3]);
}

#[tokio::test]
async fn what_is_meant_for_one_hop_stays_on_it() {
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
             Proxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        )
        .await;
    client.answer(false).await;
    let head = node.heads().remove(0);
    for name in [
        "connection",
        "x-secret",
        "keep-alive",
        "te",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(head.field(name), None, "{name}");
    }
}
