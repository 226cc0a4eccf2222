//! Certificates made for a test, and clients that verify them.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    PATIENCE,
    raw::{Message, Raw, handshake},
};

/// An authority, and a folder with what it made.
pub struct Pki {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate's files.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Files {
    /// As `tls` of a listener, with further keys.
    pub fn table(&self, more: &str) -> String {
        format!(
            "{{ certificate = {:?}, key = {:?}{more} }}",
            self.certificate.display().to_string(),
            self.key.display().to_string()
        )
    }

    /// Puts another certificate and key in the place of these.
    pub fn replace_with(&self, other: &Files) {
        fs::copy(&other.key, &self.key).expect("a file of the test");
        fs::copy(&other.certificate, &self.certificate).expect("a file of the test");
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new("Test Authority")
    }
}

impl Pki {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("random numbers");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, key).expect("valid parameters");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file of the test");
        Self { folder, authority }
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names, in files called `file`.
    pub fn issue(&self, file: &str, names: &[&str]) -> Files {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        self.issue_like(file, &CertificateParams::new(names).expect("names"))
    }

    /// A certificate for a client.
    pub fn issue_client(&self, common_name: &str) -> Files {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.distinguished_name.push(DnType::OrganizationName, "Lab");
        self.issue_like(common_name, &params)
    }

    pub fn issue_like(&self, file: &str, params: &CertificateParams) -> Files {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("random numbers");
        let certificate = params.signed_by(&key, &self.authority).expect("valid parameters");
        let path = |extension: &str| self.folder.path().join(format!("{file}.{extension}"));
        let files = Files {
            certificate: path("pem"),
            key: path("key"),
        };
        fs::write(&files.certificate, certificate.pem()).expect("a file of the test");
        fs::write(&files.key, key.serialize_pem()).expect("a file of the test");
        files
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("an authority");
        roots
    }

    /// A client that trusts this authority.
    pub fn client(&self) -> ClientConfig {
        ClientConfig::builder_with_provider(foreshift_tls::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider's versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }

    /// A node with these files; it wants client certificates of this authority where `client_auth`.
    pub fn node(&self, files: &Files, client_auth: bool) -> Arc<ServerConfig> {
        use rustls::{pki_types::pem::PemObject, server::WebPkiClientVerifier};
        let builder = ServerConfig::builder_with_provider(foreshift_tls::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider's versions");
        let builder = match client_auth {
            false => builder.with_no_client_auth(),
            true => {
                let roots = Arc::new(self.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, foreshift_tls::provider());
                builder.with_client_cert_verifier(verifier.build().expect("an authority"))
            }
        };
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
        let mut config = builder
            .with_single_cert(vec![certificate_in(files)], key)
            .expect("they fit");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A client with a certificate.
    pub fn client_with(&self, files: &Files) -> ClientConfig {
        use rustls::pki_types::pem::PemObject;
        let chain = CertificateDer::pem_file_iter(&files.certificate).expect("a file of the test");
        let chain = chain.map(|c| c.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
        ClientConfig::builder_with_provider(foreshift_tls::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider's versions")
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .expect("they fit")
    }
}

/// A connection under TLS, byte by byte.
pub type RawTls = Raw<TlsStream<TcpStream>>;

/// Connects and shakes hands with TLS.
pub async fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> std::io::Result<RawTls> {
    connect_shared(address, &Arc::new(config), name).await
}

/// As [`connect`], with settings that remember sessions.
pub async fn connect_shared(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<RawTls> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let shaken = TlsConnector::from(config.clone()).connect(name, socket);
    timeout(PATIENCE, shaken)
        .await
        .expect("it answers")
        .map(Raw::over)
}

/// Connects and opens a WebSocket.
pub async fn websocket(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
    user: &str,
) -> (RawTls, Message) {
    let mut raw = connect(address, config, name).await.expect("a handshake");
    raw.send(handshake(user, "")).await;
    let answer = raw.answer(true).await;
    (raw, answer)
}

impl RawTls {
    /// The certificate that the other side showed.
    pub fn certificate(&self) -> CertificateDer<'static> {
        let (_, session) = self.stream.get_ref();
        session.peer_certificates().expect("after the handshake")[0].clone()
    }

    /// One request, and its answer.
    pub async fn get(&mut self, path: &str, more: &str) -> Message {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: lab\r\n{more}\r\n"))
            .await;
        self.answer(false).await
    }
}

/// The certificate in a file.
pub fn certificate_in(files: &Files) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_file(&files.certificate).expect("a certificate")
}

/// Runs a program that is a real peer. Its tests fail where it is not installed: CI has it.
pub async fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(std::process::Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await
        .expect("no panic")
        .unwrap_or_else(|e| panic!("{program}: {e}"))
}
