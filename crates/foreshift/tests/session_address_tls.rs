//! `session.address` serves sessions' state over TLS, and only to who has a token, where there are tokens.

mod common;

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use common::{
    foreshift::Foreshift,
    peers::{curl, curl_fails},
    until,
};
use foreshift_client::sessions::{Condition, Error, Sessions, Value};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer};

/// Writes a certificate of `localhost` and its key, as PEM; the certificate.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn start() -> (Foreshift, SocketAddr, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate(folder.path());
    common::foreshift::write(
        folder.path(),
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n[ingress]\nworkers = 1\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n\
         [session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\naddress = \"127.0.0.1:0\"\n\
         tls = { certificate = \"cert.pem\", key = \"key.pem\" }\n\
         [[session.token]]\nfile = \"admin.token\"\naccess = \"admin\"\n",
    );
    let foreshift = Foreshift::with_environment(folder, &[]);
    let address = until("the log names the state's address", || {
        let log = foreshift.process.printed();
        let line = log
            .lines()
            .find(|line| line.contains("sessions' state is served"))?;
        line.split_once("address=")?.1.parse().ok()
    });
    (foreshift, address, certificate)
}

#[test]
fn curl_with_the_authority_and_a_token_is_answered_and_without_either_it_is_not() {
    let (foreshift, address, _) = start();
    let ca = foreshift.folder().join("cert.pem").display().to_string();
    let token = fs::read_to_string(foreshift.folder().join("admin.token")).unwrap();
    let bearer = format!("Authorization: Bearer {}", token.trim());
    let url = format!("https://localhost:{}/v1/sessions", address.port());
    let (status, body) = curl(&["--cacert", &ca, "-H", &bearer, "-X", "POST", &url]);
    assert_eq!(status, 201, "{body}");
    for wrong in [
        "X-Nothing: 1",
        "Authorization: Bearer wrong",
        "Authorization: Basic YTpi",
    ] {
        let (status, body) = curl(&["--cacert", &ca, "-H", wrong, &url]);
        assert_eq!(status, 401, "{body}");
        assert!(!body.contains("sessions\":"), "{body}");
    }
    // Nothing else of the API is there.
    let (status, _) = curl(&["--cacert", &ca, "-H", &bearer, &url.replace("sessions", "pools")]);
    assert_eq!(status, 404);
    let unknown = 60; // The certificate is of nobody that curl knows.
    assert_eq!(curl_fails(&["-H", &bearer, &url]), Some(unknown));
    curl_fails(&["-H", &bearer, &url.replace("https", "http")]);
}

#[tokio::test]
async fn the_rust_client_speaks_tls_too() {
    let (foreshift, address, certificate) = tokio::task::spawn_blocking(start).await.unwrap();
    let token = fs::read_to_string(foreshift.folder().join("admin.token")).unwrap();
    let client = |roots: RootCertStore| {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let url = format!("https://localhost:{}", address.port());
        Sessions::with_tls(&url, Some(token.trim()), Some(Arc::new(tls))).unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = client(roots);
    let id = trusting.create().await.unwrap();
    trusting
        .set(&id, "cart", b"k", &Value::text("v"), Condition::Any)
        .await
        .unwrap();
    let (value, _) = trusting.get(&id, "cart", b"k").await.unwrap().unwrap();
    assert_eq!(value, Value::text("v"));
    let refused = client(RootCertStore::empty()).create().await;
    assert!(matches!(refused, Err(Error::NoAnswer(_))), "{refused:?}");
}
