//! A node whose certificate is wrong gets no request: the client is answered 502, and control hears why.

mod common;

use common::{
    Cluster,
    raw::Raw,
    tls::{Files, Pki},
};
use foreshift_lab::{Backend, BackendOptions};
use foreshift_wire::IngressEvent;

async fn node(pki: &Pki, files: &Files, client_auth: bool) -> Backend {
    let options = BackendOptions {
        tls: Some(pki.node(files, client_auth)),
        ..BackendOptions::default()
    };
    Backend::start(options).await.unwrap()
}

/// Asks once through a pool with this `tls`. The status, and why the node became suspect where it did.
async fn ask(node: &Backend, tls: &str) -> (u16, Option<String>) {
    let mut cluster = Cluster::over(&[node.address()], &format!("tls = {tls}"), "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("GET /work HTTP/1.1\r\nHost: lab\r\nx-user: ann\r\n\r\n")
        .await;
    let status = client.answer(false).await.status();
    if status == 200 {
        return (status, None);
    }
    let why = cluster.event(|event| match event {
        IngressEvent::NodeSuspect { detail, .. } => Some(detail),
        _ => None,
    });
    (status, Some(why.await))
}

#[tokio::test]
async fn each_reason_is_told_and_what_is_right_passes() {
    let (ours, theirs) = (Pki::default(), Pki::new("Another Authority"));
    let named = ours.issue("named", &["nodes.internal", "127.0.0.1"]);
    let other = theirs.issue("other", &["nodes.internal"]);
    let mut old = rcgen::CertificateParams::new(vec!["nodes.internal".to_owned()]).unwrap();
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let old = ours.issue_like("old", &old);
    let (named_node, other_node, old_node, strict_node) = (
        node(&ours, &named, false).await,
        node(&theirs, &other, false).await,
        node(&ours, &old, false).await,
        node(&ours, &named, true).await,
    );
    let plain_node = Backend::start(BackendOptions::default()).await.unwrap();
    let ca = ours.ca();
    let by_name = format!("{{ ca = {ca:?}, server_name = \"nodes.internal\" }}");
    let own = ours.issue_client("foreshift");
    let with_own = format!("{{ ca = {ca:?}, {}", own.table("").trim_start_matches('{'));
    for (case, node, tls, reason) in [
        ("by name", &named_node, by_name.clone(), None),
        ("by address", &named_node, format!("{{ ca = {ca:?} }}"), None),
        ("unverified", &other_node, "{ verify = false }".to_owned(), None),
        ("with a certificate of ours", &strict_node, with_own, None),
        (
            "another authority",
            &other_node,
            by_name.clone(),
            Some("UnknownIssuer"),
        ),
        (
            "another name",
            &named_node,
            format!("{{ ca = {ca:?}, server_name = \"b.internal\" }}"),
            Some("b.internal"),
        ),
        ("out of time", &old_node, by_name.clone(), Some("expired")),
        ("no TLS at all", &plain_node, by_name.clone(), Some("TLS: ")),
    ] {
        let (status, why) = ask(node, &tls).await;
        match reason {
            None => assert_eq!((status, why), (200, None), "{case}"),
            Some(reason) => {
                let why = why.unwrap_or_default();
                assert_eq!(status, 502, "{case}");
                assert!(why.contains("TLS: ") && why.contains(reason), "{case}: {why}");
            }
        }
    }
    // With TLS 1.3 the node's refusal comes behind the handshake, so only the answer tells.
    let mut cluster = Cluster::over(&[strict_node.address()], &format!("tls = {by_name}"), "").await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send("GET /work HTTP/1.1\r\nHost: lab\r\nx-user: ann\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 502);
    cluster.events.close();
}
