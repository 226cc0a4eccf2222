//! An open WebSocket under TLS changes between nodes under TLS, hooks included, and the client notices nothing.

mod common;

use std::sync::Arc;

use common::{Cluster, HOOKS, tls::Pki};
use foreshift_lab::{BackendOptions, Socket, SocketOptions, Style};

/// Two nodes under TLS, behind a listener under TLS; and a client's settings.
async fn cluster(pki: &Pki) -> (Cluster, SocketOptions) {
    let (site, node, own) = (
        pki.issue("site", &["site.example"]),
        pki.issue("node", &["nodes.internal"]),
        pki.issue_client("foreshift"),
    );
    let options = BackendOptions {
        tls: Some(pki.node(&node, true)),
        ..BackendOptions::default()
    };
    let (ca, own) = (pki.ca(), own.table(""));
    let pool = format!(
        "{HOOKS}tls = {{ ca = {ca:?}, server_name = \"nodes.internal\", {}\n",
        own.trim_start_matches('{')
    );
    let listener = format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\naffinity = [{{ header = \"x-user\" }}]\ntls = {}\n",
        site.table("")
    );
    let cluster = Cluster::start_like(2, &pool, &listener, &options).await;
    let options = SocketOptions {
        tls: Some((Arc::new(pki.client()), "site.example".try_into().unwrap())),
        ..SocketOptions::new(cluster.address_of("tls"), "ann")
    };
    (cluster, options)
}

#[tokio::test]
async fn messages_and_state_go_on_through_many_switches_in_order() {
    let pki = Pki::default();
    let (mut cluster, options) = cluster(&pki).await;
    let mut socket = Socket::connect(&options).await.unwrap();
    let large = vec![b'x'; 100_000];
    for round in 0..24 {
        for _ in 0..3 {
            socket.send(b"hello", Style::Fragmented(2)).await.unwrap();
        }
        socket.send(&large, Style::Text).await.unwrap();
        let from = cluster.home("ann").await;
        let pauses = cluster.migrate("ann", from, 1 - from).await.expect("it moves");
        assert_eq!(pauses.len(), 1, "round {round}");
        while socket.pending() > 0 {
            socket.next().await.expect("it is open");
        }
    }
    let tally = socket.close().await;
    assert!(tally.is_clean(), "{tally:?}");
    let stats = [0, 1].map(|n| cluster.backend(n).stats());
    assert_eq!(stats[0].handed_over + stats[1].handed_over, 24);
    assert_eq!((stats[0].disorder, stats[1].disorder), (0, 0));
}

#[tokio::test]
async fn a_message_larger_than_all_buffers_arrives_whole_though_its_reader_comes_late() {
    let pki = Pki::default();
    let (_cluster, options) = cluster(&pki).await;
    let mut socket = Socket::connect(&options).await.unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for _ in 0..3 {
        socket.send(&large, Style::Binary).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let (_, payload) = socket.next().await.expect("an answer");
        assert!(payload == large);
    }
    let tally = socket.close().await;
    assert!(tally.is_clean(), "{tally:?}");
}
