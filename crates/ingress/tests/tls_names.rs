//! The name that a client asks for picks the certificate.

mod common;

use common::{
    Cluster,
    raw::Recorder,
    tls::{Pki, certificate_in, connect},
};

#[tokio::test]
async fn an_exact_name_wins_over_a_wildcard_and_the_first_serves_all_others() {
    let pki = Pki::default();
    let first = pki.issue("first", &["first.example", "unknown.example"]);
    let wild = pki.issue("wild", &["*.shop.example"]);
    let exact = pki.issue("exact", &["pay.shop.example"]);
    let tls = [&first, &wild, &exact].map(|files| files.table(""));
    let node = Recorder::start().await;
    let rest = format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\ntls = [{}]\n",
        tls.join(", ")
    );
    let cluster = Cluster::over(&[node.address], "", &rest).await;
    for (name, files) in [
        ("first.example", &first),
        ("www.shop.example", &wild),
        ("WWW.SHOP.EXAMPLE", &wild),
        ("pay.shop.example", &exact),
        ("unknown.example", &first),
    ] {
        let mut client = connect(cluster.address_of("tls"), pki.client(), name)
            .await
            .unwrap();
        assert_eq!(client.certificate(), certificate_in(files), "{name}");
        assert_eq!(client.get("/", "").await.status(), 200, "{name}");
    }
    let refused = connect(cluster.address_of("tls"), pki.client(), "a.b.shop.example").await;
    assert!(
        refused.is_err(),
        "no certificate is for it, and the client notices"
    );
}
