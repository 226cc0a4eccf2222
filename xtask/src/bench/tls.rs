//! One certificate for all proxies, and clients that trust it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
    version::TLS13,
};

/// The name in the certificate.
pub(super) const NAME: &str = "bench.example";

/// A certificate, and what clients are set up with.
pub(super) struct Pki {
    certificate: String,
    key: String,
    pub(super) client: Arc<ClientConfig>,
}

/// The certificate's files.
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one, as HAProxy wants it.
    pub(super) both: PathBuf,
}

impl Pki {
    /// A certificate that signs itself, ECDSA P-256. Clients offer TLS 1.3 with one cipher, so that every proxy does the same
    /// work: AES-256-GCM, which rustls and OpenSSL both prefer.
    pub(super) fn make() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate.der().to_vec()))?;
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
            ..aws_lc_rs::default_provider()
        };
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            client: Arc::new(client),
        })
    }

    /// Writes the files into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<Files> {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Files {
            certificate: file("bench.pem", &self.certificate)?,
            key: file("bench.key", &self.key)?,
            both: file("bench.both", &format!("{}{}", self.certificate, self.key))?,
        })
    }
}
