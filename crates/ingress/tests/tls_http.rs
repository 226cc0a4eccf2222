//! Requests over TLS reach the node as others do, and are told apart from them.

mod common;

use common::{
    Cluster,
    raw::Recorder,
    tls::{Pki, connect, run},
};

/// A listener's lines for the end of the configuration.
fn listener(tls: &str) -> String {
    format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\ntls = {tls}\naffinity = [{{ cookie = {{ name = \"sid\", issue = true }} }}]\n"
    )
}

#[tokio::test]
async fn a_node_learns_that_the_client_used_tls_and_a_cookie_is_for_tls_only() {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", &listener(&files.table(""))).await;
    let mut client = connect(cluster.address_of("tls"), pki.client(), "site.example")
        .await
        .unwrap();
    for n in 0..3 {
        let answer = client.get(&format!("/{n}"), "").await;
        assert_eq!((answer.status(), answer.text()), (200, format!("/{n} 0")));
        let cookie = answer.field("set-cookie").unwrap();
        assert!(cookie.contains("; Secure"), "{cookie}");
    }
    let heads = node.heads();
    assert_eq!(heads.len(), 3);
    assert!(
        heads
            .iter()
            .all(|h| h.field("x-forwarded-proto").as_deref() == Some("https"))
    );
}

#[tokio::test]
async fn curl_is_served_with_either_version_of_tls_and_of_http() {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let node = Recorder::start().await;
    let cluster = Cluster::over(&[node.address], "", &listener(&files.table(""))).await;
    let port = cluster.address_of("tls").port();
    let ca = pki.ca().display().to_string();
    let resolve = format!("site.example:{port}:127.0.0.1");
    let url = format!("https://site.example:{port}/hello");
    for (tls, http, expected) in [
        ("1.2", "--http1.1", "1.1"),
        ("1.3", "--http1.1", "1.1"),
        ("1.2", "--http2", "2"),
        ("1.3", "--http2", "2"),
        ("1.3", "--http2-prior-knowledge", "2"),
    ] {
        let least = format!("--tlsv{tls}");
        let args = [
            "--silent",
            "--show-error",
            "--cacert",
            &ca,
            "--resolve",
            &resolve,
            "--tls-max",
            tls,
            &least,
            http,
            "--write-out",
            " %{http_version}",
            &url,
        ];
        let output = run("curl", &args).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, format!("/hello 0 {expected}"), "{args:?} {complaint}");
    }
}

#[tokio::test]
async fn bodies_of_many_records_pass_whole_in_both_directions() {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let cluster = Cluster::start_with(1, "", &listener(&files.table(""))).await;
    let mut client = connect(cluster.address_of("tls"), pki.client(), "site.example")
        .await
        .unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for size in [1, 16_384, 16_385, 100_000, body.len()] {
        let body = &body[..size];
        let head = format!("POST /echo HTTP/1.1\r\nHost: lab\r\nContent-Length: {size}\r\n\r\n");
        client.send(head).await;
        client.send(body).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body.ends_with(body), "{size}");
    }
}
