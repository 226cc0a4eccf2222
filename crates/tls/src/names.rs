//! Which certificate is shown to a client that asks for a name.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::certificate::Certified;

/// Certificates by their names. An exact name wins over a wildcard; the default serves all other names.
#[derive(Debug)]
pub(crate) struct Names {
    default: Arc<CertifiedKey>,
    /// A wildcard `*.example.com` is under `.example.com`, which no exact name can be. Several certificates for a
    /// name are there in their order: one may be RSA and one ECDSA.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Names {
    /// `None` where there is no certificate at all.
    pub(crate) fn new(certificates: Vec<Certified>) -> Option<Self> {
        let default = certificates.first()?.key.clone();
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for Certified { key, names } in certificates {
            for name in names {
                let name = name.strip_prefix('*').map(str::to_owned).unwrap_or(name);
                by_name.entry(name).or_default().push(key.clone());
            }
        }
        Some(Self { default, by_name })
    }

    /// The certificates for `name`, which is in lower case. A wildcard stands for exactly one label.
    fn candidates(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let wildcard = || self.by_name.get(&name[name.find('.')?..]);
        self.by_name.get(name).or_else(wildcard).map(Vec::as_slice)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.candidates(name));
        let Some(candidates) = found else {
            return Some(self.default.clone());
        };
        let understood =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(understood).or(candidates.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    fn certified(names: &[&str]) -> Certified {
        let made = generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let key = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &crate::provider()).unwrap();
        Certified {
            key: Arc::new(key),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        }
    }

    #[test]
    fn an_exact_name_wins_over_a_wildcard_and_a_wildcard_is_one_label() {
        let all = [
            certified(&["default.example"]),
            certified(&["*.example.com", "example.com"]),
            certified(&["shop.example.com"]),
        ];
        let keys: Vec<_> = all.iter().map(|c| c.key.clone()).collect();
        let names = Names::new(all.into()).unwrap();
        for (name, expected) in [
            ("default.example", Some(0)),
            ("example.com", Some(1)),
            ("www.example.com", Some(1)),
            ("shop.example.com", Some(2)),
            ("a.b.example.com", None),
            ("com", None),
            ("", None),
            (".example.com", Some(1)),
            ("other.example", None),
        ] {
            let found = names.candidates(name).map(|keys| keys[0].clone());
            let expected = expected.map(|n: usize| keys[n].clone());
            let same = match (&found, &expected) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
            assert!(same, "{name}");
        }
    }
}
