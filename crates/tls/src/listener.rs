//! What a listener shows and asks for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use foreshift_wire::{ClientAuth, ListenerCertificate, Protocol};
use rustls::{
    RootCertStore, ServerConfig,
    server::{ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use crate::{
    ALPN, Cause, Error, Opened, Warning, Watched,
    certificate::certified,
    files::{File, Fingerprint, Named, fingerprint},
    names::Names,
    provider,
};

/// The settings of a listener with these certificates, at least one. A TCP listener agrees to no protocol by ALPN: it knows
/// none.
pub fn listener(
    certificates: &[ListenerCertificate],
    protocol: Protocol,
    now: SystemTime,
) -> Result<Opened<ServerConfig>, Error> {
    let mut files = Vec::new();
    for (n, one) in certificates.iter().enumerate() {
        let table = match certificates.len() {
            1 => "tls".to_owned(),
            _ => format!("tls[{n}]"),
        };
        files.push(Named::new(format!("{table}.certificate"), &one.certificate));
        files.push(Named::new(format!("{table}.key"), &one.key));
    }
    let pairs = files.len();
    let first = certificates.first();
    let client_ca = first.and_then(|c| c.client_ca.as_deref());
    let client_auth = first.map(|c| c.client_auth).unwrap_or_default();
    files.extend(client_ca.map(|path| {
        let table = if pairs == 2 { "tls" } else { "tls[0]" };
        Named::new(format!("{table}.client_ca"), path)
    }));
    let tickets = Tickets::default();
    let make = move |read: &[File], now| {
        let (pairs, client_ca) = read.split_at(pairs);
        let (mut made, warnings) = settings(pairs, client_ca.first(), client_auth, &tickets, now)?;
        if protocol == Protocol::Http {
            made.alpn_protocols = ALPN.iter().map(|p| p.to_vec()).collect();
        }
        Ok((made, warnings))
    };
    Watched::open(files, Box::new(make), now)
}

/// The settings of what `session.tls` protects. No protocol is agreed to by ALPN: each address speaks one.
pub fn session(certificate: &ListenerCertificate, now: SystemTime) -> Result<Opened<ServerConfig>, Error> {
    listener(std::slice::from_ref(certificate), Protocol::Tcp, now)
}

fn settings(
    pairs: &[File],
    client_ca: Option<&File>,
    client_auth: ClientAuth,
    tickets: &Tickets,
    now: SystemTime,
) -> Result<(ServerConfig, Vec<Warning>), Error> {
    let mut warnings = Vec::new();
    let mut certificates = Vec::new();
    for pair in pairs.chunks_exact(2) {
        certificates.push(certified(&pair[0], &pair[1], now, &mut warnings)?);
    }
    let verifier = match client_ca {
        Some(file) => client_verifier(file, client_auth)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let names = Names::new(certificates).expect("a listener with TLS has a certificate");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites for both versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(names));
    if let Some(tickets) = tickets.of(client_ca) {
        config.ticketer = tickets;
    }
    Ok((config, warnings))
}

fn client_verifier(file: &File, auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let unusable = |why: String| file.error(Cause::Unusable(why));
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|e| unusable(e.to_string()))
}

/// What session tickets are sealed with. It outlives a renewed certificate, so that clients resume; it ends with the authorities of
/// client certificates, because a resumed session is not verified again.
#[derive(Default)]
struct Tickets(Mutex<Option<(Fingerprint, Arc<dyn ProducesTickets>)>>);

impl Tickets {
    /// `None` where the system has no random numbers: then there is no resumption by ticket.
    fn of(&self, client_ca: Option<&File>) -> Option<Arc<dyn ProducesTickets>> {
        let authorities = client_ca.map_or([0; 32], |file| fingerprint(std::slice::from_ref(file)));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, tickets)) if *of == authorities => Some(tickets.clone()),
            _ => {
                let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().ok()?;
                *kept = Some((authorities, tickets.clone()));
                Some(tickets)
            }
        }
    }
}
