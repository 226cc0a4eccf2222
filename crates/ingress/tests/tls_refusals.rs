//! What is no handshake, an old one or a slow one ends, without harm to others.

mod common;

use std::time::{Duration, Instant};

use common::{
    Cluster, PATIENCE,
    raw::{Raw, Recorder},
    tls::{Pki, connect, run},
};
use tokio::time::timeout;

fn listener(tls: &str) -> String {
    format!("[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\ntls = {tls}\n")
}

async fn cluster(limits: &str) -> (Cluster, Pki, Recorder) {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let node = Recorder::start().await;
    let rest = format!("{}\n[ingress.limits]\n{limits}\n", listener(&files.table("")));
    (Cluster::over(&[node.address], "", &rest).await, pki, node)
}

#[tokio::test]
async fn garbage_instead_of_a_hello_is_answered_with_an_alert_and_ends() {
    let (cluster, pki, node) = cluster("").await;
    let hello_cut_short = [22, 3, 1, 0, 5, 1, 0, 0, 1, 0];
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0; 300],
        &[0xff; 70_000],
        &[22, 3, 1, 0xff, 0xff],
        &[22, 3, 1, 0, 0, 22, 3, 1, 0, 0],
        &[&hello_cut_short[..], b"and something that is no record"].concat(),
    ] {
        let mut client = Raw::connect(cluster.address_of("tls")).await;
        // It may be refused before all of it is written.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, garbage).await;
        let said = client.until_closed().await;
        let alert = said.first() == Some(&21);
        assert!(said.is_empty() || alert, "{garbage:?} {said:?}");
    }
    assert!(node.heads().is_empty());
    let mut client = connect(cluster.address_of("tls"), pki.client(), "site.example")
        .await
        .unwrap();
    assert_eq!(client.get("/", "").await.status(), 200);
}

#[tokio::test]
async fn old_versions_of_tls_are_refused_and_those_of_now_are_not() {
    let (cluster, _pki, _node) = cluster("").await;
    let address = cluster.address_of("tls").to_string();
    for (version, taken) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        // Level 0 lets openssl itself offer the old ones.
        let args = [
            "s_client",
            "-connect",
            &address,
            version,
            "-cipher",
            "DEFAULT@SECLEVEL=0",
            "-brief",
        ];
        let output = run("openssl", &args).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            said.contains("CONNECTION ESTABLISHED"),
            taken,
            "{version}: {said}"
        );
    }
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut_and_gives_its_place_back() {
    let (cluster, pki, _node) = cluster("header_timeout = \"300ms\"\nconnections = 3\n").await;
    let address = cluster.address_of("tls");
    let begun = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(Raw::connect(address).await);
    }
    // A hello of 508 bytes, one every so often.
    let mut hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]
        .into_iter()
        .chain(std::iter::repeat(0));
    let drip = async {
        loop {
            let byte = hello.next().unwrap_or_default();
            for client in &mut slow {
                let _ = client.stream.try_write(&[byte]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut ended = 0;
            for client in &mut slow {
                let mut buffer = [0];
                let read = tokio::io::AsyncReadExt::read(&mut client.stream, &mut buffer);
                ended += usize::from(timeout(Duration::from_millis(5), read).await.is_ok());
            }
            if ended == slow.len() {
                return;
            }
        }
    };
    timeout(PATIENCE, drip).await.expect("all are cut");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let served = async {
        loop {
            if let Ok(mut client) = connect(address, pki.client(), "site.example").await {
                return client.get("/", "").await.status();
            }
        }
    };
    assert_eq!(timeout(PATIENCE, served).await.expect("there is room again"), 200);
}
