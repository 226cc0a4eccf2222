//! A client's certificate is asked for, verified, and tells clients apart.

mod common;

use common::{
    Cluster,
    tls::{Pki, connect, run},
};

fn listener(tls: &str, selector: &str) -> String {
    format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\ntls = {tls}\naffinity = [{{ client_certificate = \"{selector}\" }}]\n"
    )
}

#[tokio::test]
async fn the_name_in_a_certificate_is_the_key_over_any_connection() {
    let (site, users) = (Pki::default(), Pki::new("Users"));
    let files = site.issue("site", &["site.example"]);
    let tls = files.table(&format!(", client_ca = {:?}", users.ca()));
    for (selector, key) in [("common_name", "ann"), ("subject", "CN=ann,O=Lab")] {
        let cluster = Cluster::start_with(4, "", &listener(&tls, selector)).await;
        let address = cluster.address_of("tls");
        let ann = users.issue_client("ann");
        let config = {
            use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
            let chain = vec![CertificateDer::from_pem_file(&ann.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&ann.key).unwrap();
            rustls::ClientConfig::builder_with_provider(foreshift_tls::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(site.roots())
                .with_client_auth_cert(chain, key)
                .unwrap()
        };
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = connect(address, config.clone(), "site.example").await.unwrap();
            assert_eq!(client.get("/healthz", "").await.status(), 200);
            clients.push(client);
        }
        let found = cluster.connections_of(key).await;
        assert_eq!(found.len(), 3, "{selector}");
        assert!(found.iter().all(|c| c.session == cluster.session(key)));
    }
}

#[tokio::test]
async fn a_required_certificate_is_required_and_an_optional_one_must_be_right() {
    let (site, users, strangers) = (Pki::default(), Pki::new("Users"), Pki::new("Strangers"));
    let files = site.issue("site", &["site.example"]);
    let (user, stranger) = (users.issue_client("ann"), strangers.issue_client("eve"));
    let path = |path: &std::path::Path| path.display().to_string();
    for (auth, with, served) in [
        ("required", None, false),
        ("required", Some(&user), true),
        ("required", Some(&stranger), false),
        ("optional", None, true),
        ("optional", Some(&user), true),
        ("optional", Some(&stranger), false),
    ] {
        let more = format!(", client_ca = {:?}, client_auth = \"{auth}\"", users.ca());
        let cluster = Cluster::start_with(1, "", &listener(&files.table(&more), "common_name")).await;
        let port = cluster.address_of("tls").port();
        let (ca, resolve) = (path(&site.ca()), format!("site.example:{port}:127.0.0.1"));
        let url = format!("https://site.example:{port}/healthz");
        for version in ["1.2", "1.3"] {
            let mut args = vec![
                "--silent",
                "--cacert",
                &ca,
                "--resolve",
                &resolve,
                "--tls-max",
                version,
            ];
            let own = with.map(|files| (path(&files.certificate), path(&files.key)));
            if let Some((certificate, key)) = &own {
                args.extend(["--cert", certificate, "--key", key]);
            }
            args.extend(["--write-out", "%{http_code}", "--output", "/dev/null", &url]);
            let code = String::from_utf8(run("curl", &args).await.stdout).unwrap();
            assert_eq!(code == "200", served, "{auth} {version} {own:?}: {code}");
        }
    }
}
