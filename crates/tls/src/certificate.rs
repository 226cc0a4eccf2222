//! A certificate with its key, and whether it can be used now.

use std::{sync::Arc, time::SystemTime};

use rustls::{InconsistentKeys, pki_types::CertificateDer, sign::CertifiedKey};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{Cause, Error, Warning, files::File, provider};

/// How many seconds before its end a certificate is warned about.
const SOON_S: i64 = 14 * 24 * 60 * 60;

/// A certificate and its key, with what its text says.
pub(crate) struct Certified {
    pub(crate) key: Arc<CertifiedKey>,
    /// DNS names in lower case, wildcards included.
    pub(crate) names: Vec<String>,
}

/// Reads a certificate with those behind it, and its key.
pub(crate) fn certified(
    certificate: &File,
    key: &File,
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) -> Result<Certified, Error> {
    let chain = certificate.certificates()?;
    let names = examine(certificate, &chain, now, warnings)?;
    let private = key.private_key()?;
    let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|e| match e {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => key.error(Cause::Mismatch {
            certificate: certificate.named.path.clone(),
        }),
        rustls::Error::InvalidCertificate(why) => certificate.error(Cause::Unusable(format!("{why:?}"))),
        other => key.error(Cause::Unusable(other.to_string())),
    })?;
    Ok(Certified {
        key: Arc::new(pair),
        names,
    })
}

/// The names of the first certificate of a chain whose time is not over.
fn examine(
    file: &File,
    chain: &[CertificateDer<'static>],
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for (n, der) in chain.iter().enumerate() {
        let certificate = parse(der).map_err(|why| file.error(Cause::Unusable(why)))?;
        in_time(file, &certificate, now, warnings)?;
        if n == 0 {
            names = names_of(&certificate);
        }
    }
    Ok(names)
}

fn parse<'a>(der: &'a CertificateDer<'static>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|e| format!("it is no X.509 certificate ({e})"))
}

fn in_time(
    file: &File,
    certificate: &X509Certificate<'_>,
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
    let now_s = since_epoch.map_or(0, |since| since.as_secs() as i64);
    let validity = certificate.validity();
    let (from_s, to_s) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if to_s <= now_s {
        return Err(file.error(Cause::Expired(day(to_s))));
    }
    let message = if from_s > now_s {
        format!(
            "clients will refuse the certificate: it begins on {}",
            day(from_s)
        )
    } else if to_s - now_s < SOON_S {
        format!("the certificate expires on {}; renew it", day(to_s))
    } else {
        return Ok(());
    };
    warnings.push(Warning {
        key: file.named.key.clone(),
        message: format!("{}: {message}", file.named.path.display()),
    });
    Ok(())
}

fn day(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "a date out of range".into(),
    }
}

/// Its alternative names; the common name only where it has none, as was the custom once.
fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        let dns = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        };
        return alternative.value.general_names.iter().filter_map(dns).collect();
    }
    let common = certificate
        .subject()
        .iter_common_name()
        .filter_map(|n| n.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}
