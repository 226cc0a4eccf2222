//! What is asked of a pool's nodes, and shown to them.

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use foreshift_wire::PoolTls;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use crate::{
    Cause, Error, Opened, Warning, Watched,
    certificate::certified,
    files::{File, Named},
    provider,
};

/// The settings of connections to nodes.
#[derive(Debug, Clone)]
pub struct NodeTls {
    /// For HTTP/1.1.
    pub http1: Arc<ClientConfig>,
    /// For HTTP/2; a node that does not agree to it refuses the handshake, or agrees to nothing.
    pub http2: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl NodeTls {
    /// The name that the certificate of the node at `address` must have.
    pub fn name_of(&self, address: IpAddr) -> ServerName<'static> {
        let own = || ServerName::IpAddress(address.to_canonical().into());
        self.server_name.clone().unwrap_or_else(own)
    }
}

/// The settings for a pool's nodes.
pub fn pool(tls: &PoolTls, now: SystemTime) -> Result<Opened<NodeTls>, Error> {
    let mut files = Vec::new();
    for (key, path) in [
        ("tls.ca", &tls.ca),
        ("tls.certificate", &tls.certificate),
        ("tls.key", &tls.key),
    ] {
        files.extend(path.as_deref().map(|path| Named::new(key, path)));
    }
    let tls = tls.clone();
    Watched::open(
        files,
        Box::new(move |read: &[File], now| settings(&tls, read, now)),
        now,
    )
}

fn settings(tls: &PoolTls, read: &[File], now: SystemTime) -> Result<(NodeTls, Vec<Warning>), Error> {
    let file = |key: &str| read.iter().find(|file| file.named.key == key);
    let mut warnings = Vec::new();
    let server_name = match &tls.server_name {
        None => None,
        Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| Error {
            key: "tls.server_name".into(),
            file: name.into(),
            cause: Cause::Unusable("it is neither a DNS name nor an IP address".into()),
        })?),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, file("tls.ca"))?);
    let mut http1 = match (file("tls.certificate"), file("tls.key")) {
        (Some(certificate), Some(key)) => {
            let pair: Arc<CertifiedKey> = certified(certificate, key, now, &mut warnings)?.key;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
        _ => builder.with_no_client_auth(),
    };
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut http2 = http1.clone();
    http2.alpn_protocols = vec![b"h2".to_vec()];
    let made = NodeTls {
        http1: Arc::new(http1),
        http2: Arc::new(http2),
        server_name,
    };
    Ok((made, warnings))
}

fn verifier(tls: &PoolTls, ca: Option<&File>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    if !tls.verify {
        return Ok(Arc::new(Unverified(provider())));
    }
    let refused = |why: String| match ca {
        Some(file) => file.error(Cause::Unusable(why)),
        None => no_system_roots(&why),
    };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in file.certificates()? {
                roots.add(certificate).map_err(|e| refused(e.to_string()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            // A system has some that nobody can read; they were never of use.
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = found
                    .errors
                    .first()
                    .map_or("none found".into(), ToString::to_string);
                return Err(no_system_roots(&why));
            }
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    Ok(verifier.map_err(|e| refused(e.to_string()))?)
}

fn no_system_roots(why: &str) -> Error {
    Error {
        key: "tls".into(),
        file: "/etc/ssl/certs".into(),
        cause: Cause::NoSystemRoots(why.into()),
    }
}

/// Takes any certificate, as `verify = false` says. That the node has its key is verified all the same.
struct Unverified(Arc<CryptoProvider>);

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified")
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
