//! The view over TLS: with the certificate of now, and with nothing for who does not speak TLS.

mod serving;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foreshift_store::view::{Limits, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use serving::{View, open};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A server's certificate, and a client that trusts it alone.
fn pair() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.into(), client.into())
}

async fn ping(view: &View, client: &Arc<ClientConfig>) -> std::io::Result<String> {
    let stream = TcpStream::connect(view.address).await?;
    let connector = TlsConnector::from(client.clone());
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
    stream.write_all(b"PING\r\nQUIT\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_the_next_connection() {
    let pairs = [pair(), pair()];
    let current = Arc::new(AtomicUsize::new(0));
    let servers = [pairs[0].0.clone(), pairs[1].0.clone()];
    let tls: Tls = {
        let current = current.clone();
        Arc::new(move || servers[current.load(Ordering::Relaxed)].clone())
    };
    let view = View::over(open(), Limits::of(&Default::default()), Some(tls)).await;
    assert_eq!(ping(&view, &pairs[0].1).await.unwrap(), "+PONG\r\n+OK\r\n");
    assert!(
        ping(&view, &pairs[1].1).await.is_err(),
        "it trusts another certificate"
    );
    current.store(1, Ordering::Relaxed);
    assert_eq!(ping(&view, &pairs[1].1).await.unwrap(), "+PONG\r\n+OK\r\n");

    let mut plain = TcpStream::connect(view.address).await.unwrap();
    plain.write_all(b"PING\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The alert, or nothing, or a reset: no answer in any case.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"+PONG"));
    view.stop().await;
}
