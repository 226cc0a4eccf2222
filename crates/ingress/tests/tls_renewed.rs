//! Files that change serve new connections; open ones, WebSockets among them, stay.

mod common;

use common::{
    Cluster, HOOKS, PATIENCE,
    tls::{Pki, certificate_in, connect, connect_shared, websocket},
};

fn listener(tls: &str) -> String {
    format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\naffinity = [{{ header = \"x-user\" }}]\ntls = {tls}\n"
    )
}

#[tokio::test]
async fn a_connection_and_a_websocket_stay_open_while_new_ones_get_the_new_certificate() {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let old = certificate_in(&files);
    let mut cluster = Cluster::start_with(2, HOOKS, &listener(&files.table(""))).await;
    let address = cluster.address_of("tls");
    let mut client = connect(address, pki.client(), "site.example").await.unwrap();
    assert_eq!(client.get("/healthz", "").await.status(), 200);
    let (mut socket, answer) = websocket(address, pki.client(), "site.example", "ann").await;
    assert_eq!(answer.status(), 101);

    let new = pki.issue("new", &["site.example"]);
    files.replace_with(&new);
    let showed = async {
        loop {
            let newcomer = connect(address, pki.client(), "site.example").await.unwrap();
            if newcomer.certificate() == certificate_in(&new) {
                return;
            }
            assert_eq!(newcomer.certificate(), old);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, showed)
        .await
        .expect("it is noticed");

    assert_eq!(client.get("/healthz", "").await.status(), 200);
    assert_eq!(client.certificate(), old);
    socket.send(common::raw::frame(0x89, true, b"still there?")).await;
    assert_eq!(socket.frame().await.unwrap().payload, b"still there?");
    let from = cluster.home("ann").await;
    cluster.migrate("ann", from, 1 - from).await.expect("it moves");
    socket.send(common::raw::frame(0x89, true, b"and now?")).await;
    assert_eq!(socket.frame().await.unwrap().payload, b"and now?");
}

#[tokio::test]
async fn a_session_is_resumed_also_with_a_renewed_certificate() {
    let pki = Pki::default();
    let files = pki.issue("site", &["site.example"]);
    let cluster = Cluster::start_with(1, "", &listener(&files.table(""))).await;
    let address = cluster.address_of("tls");
    let config = std::sync::Arc::new(pki.client());
    for renewed in [false, true] {
        // Fresh tickets come behind the handshake, with the first answer at the latest.
        let mut first = connect_shared(address, &config, "site.example").await.unwrap();
        assert_eq!(first.get("/healthz", "").await.status(), 200);
        if renewed {
            files.replace_with(&pki.issue("new", &["site.example"]));
            let showed = async {
                while connect(address, pki.client(), "site.example")
                    .await
                    .unwrap()
                    .certificate()
                    != certificate_in(&files)
                {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, showed)
                .await
                .expect("it is noticed");
        }
        let again = connect_shared(address, &config, "site.example").await.unwrap();
        let kind = again.stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed), "renewed: {renewed}");
    }
}
