//! Files, read as a whole, and what tells one reading from the next.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use sha2::{Digest, Sha256};

use crate::{Cause, Error};

/// A file that a configuration names.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The key, within its listener or pool.
    pub(crate) key: String,
    pub(crate) path: PathBuf,
}

impl Named {
    pub(crate) fn new(key: impl Into<String>, path: &Path) -> Self {
        Self {
            key: key.into(),
            path: path.into(),
        }
    }

    pub(crate) fn error(&self, cause: Cause) -> Error {
        Error {
            key: self.key.clone(),
            file: self.path.clone(),
            cause,
        }
    }
}

/// A file as it was read.
pub(crate) struct File {
    pub(crate) named: Named,
    content: Result<Vec<u8>, String>,
}

/// Not the content: it may be a private key.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

/// Identifies what was read.
pub(crate) type Fingerprint = [u8; 32];

impl File {
    pub(crate) fn read(named: &Named) -> Self {
        Self {
            named: named.clone(),
            content: fs::read(&named.path).map_err(|e| e.to_string()),
        }
    }

    pub(crate) fn error(&self, cause: Cause) -> Error {
        self.named.error(cause)
    }

    fn bytes(&self) -> Result<&[u8], Error> {
        match &self.content {
            Err(why) => Err(self.error(Cause::Unreadable(why.clone()))),
            Ok(bytes) if bytes.trim_ascii().is_empty() => Err(self.error(Cause::Empty)),
            Ok(bytes) => Ok(bytes),
        }
    }

    /// Its certificates, at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.bytes()?).collect();
        let all = all.map_err(|e| self.error(Cause::NotPem(e.to_string())))?;
        match all.is_empty() {
            true => Err(self.error(Cause::NoCertificate)),
            false => Ok(all),
        }
    }

    /// Its first private key.
    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let bytes = self.bytes()?;
        PrivateKeyDer::from_pem_slice(bytes).map_err(|e| {
            let encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
            let has = |mark: &[u8]| bytes.windows(mark.len()).any(|w| w == mark);
            self.error(match e {
                _ if encrypted.iter().any(|mark| has(mark)) => Cause::EncryptedKey,
                pem::Error::NoItemsFound => Cause::NoKey,
                // Only the kind of damage: the error's text can quote a line.
                pem::Error::Base64Decode(_) => Cause::NotPem("the base64 text is damaged".into()),
                _ => Cause::NotPem("a line that begins or ends a section is damaged".into()),
            })
        })
    }
}

/// Tells whether any of the files changed. What cannot be read counts by the reason why.
pub(crate) fn fingerprint(files: &[File]) -> Fingerprint {
    let mut hash = Sha256::new();
    for file in files {
        let (mark, bytes) = match &file.content {
            Ok(bytes) => (0, bytes.as_slice()),
            Err(why) => (1, why.as_bytes()),
        };
        hash.update([mark]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}
