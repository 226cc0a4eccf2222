//! Who a client is, by the certificate that the handshake has verified.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    objects::{oid_registry, oid2abbrev},
    prelude::FromDer,
    x509::{AttributeTypeAndValue, X509Name},
};

/// A client as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The common name of the subject, where it has one that is text.
    pub common_name: Option<String>,
    /// The whole subject in the certificate's order, as in `CN=ann,O=Example`; empty where it has none. What separates is escaped
    /// by a backslash where it is part of a value, so that two subjects never read the same.
    pub subject: String,
}

impl Identity {
    /// Reads it. `None` for what is no certificate, which a verified one never is.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let common_name = subject.iter_common_name().find_map(|name| name.as_str().ok());
        Some(Self {
            common_name: common_name.map(str::to_owned),
            subject: text_of(subject),
        })
    }
}

fn text_of(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for (n, attribute) in name.iter_attributes().enumerate() {
        if n > 0 {
            text.push(',');
        }
        add(&mut text, attribute);
    }
    text
}

fn add(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    match oid2abbrev(attribute.attr_type(), oid_registry()) {
        Ok(short) => text.push_str(short),
        Err(_) => text.push_str(&attribute.attr_type().to_id_string()),
    }
    text.push('=');
    match attribute.as_str() {
        Ok(value) => {
            for c in value.chars() {
                if ",+=\\\"<>;#".contains(c) {
                    text.push('\\');
                }
                text.push(c);
            }
        }
        Err(_) => {
            text.push('#');
            for byte in attribute.as_slice() {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}
