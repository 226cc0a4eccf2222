//! What is wrong with a file. No text here ever holds part of a key.

use std::path::PathBuf;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct Error {
    /// The key that names it, within its listener or pool: `tls[1].key`.
    pub key: String,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The system did not give it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is there, and empty.
    #[error("is empty; write the PEM text into it")]
    Empty,
    /// It has no certificate.
    #[error("holds no certificate: it should have a line \"-----BEGIN CERTIFICATE-----\"")]
    NoCertificate,
    /// It has no private key.
    #[error("holds no private key: it should have a line \"-----BEGIN PRIVATE KEY-----\"")]
    NoKey,
    /// Its private key needs a password, which there is nobody to ask for.
    #[error(
        "the private key is encrypted; write it without a password, as `openssl pkey -in FILE -out PLAIN` does"
    )]
    EncryptedKey,
    /// What is between the markers cannot be decoded.
    #[error("is no PEM file: {0}")]
    NotPem(String),
    /// A certificate or key of an unknown kind, or a damaged one.
    #[error("cannot be used: {0}")]
    Unusable(String),
    /// The key is another certificate's.
    #[error("is not the private key of {}; name the pair that was made together", certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
    },
    /// The time of the certificate is over.
    #[error("the certificate expired on {0}; renew it")]
    Expired(String),
    /// The system has no authorities.
    #[error("the system has no certificate authorities ({0}); install ca-certificates or name a file")]
    NoSystemRoots(String),
}

/// Something about a file that will be an error one day, or is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key that names the file, within its listener or pool.
    pub key: String,
    /// The file, and what about it.
    pub message: String,
}
