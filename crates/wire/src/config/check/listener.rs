//! Rules for `[[listener]]`.

use std::net::SocketAddr;

use super::{
    super::{ClientAuth, Config, Framing, KeySelector, Listener, Protocol},
    finding::{Findings, Table},
};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    if config.listener.is_empty() {
        findings.of("listener").add(
            "",
            "there is none; add a [[listener]] with name, address and pool",
        );
    }
    for (n, listener) in config.listener.iter().enumerate() {
        let mut table = findings.of(format!("listener[{n}]"));
        table.not_empty("name", &listener.name);
        let before = &config.listener[..n];
        if let Some(other) = before.iter().position(|l| l.name == listener.name) {
            let name = &listener.name;
            table.add(
                "name",
                format!("{name:?} is the name of listener[{other}] too; use another one"),
            );
        }
        address(config, n, listener, &mut table);
        if !config.pool.iter().any(|p| p.name == listener.pool) {
            let known: Vec<&str> = config.pool.iter().map(|p| p.name.as_str()).collect();
            let known = match known.is_empty() {
                true => "there is none; add a [[pool]]".to_owned(),
                false => format!("there are: {}", known.join(", ")),
            };
            table.add("pool", format!("there is no pool {:?}; {known}", listener.pool));
        }
        if let Some(name) = &listener.request_id {
            token("request_id", name, &mut table);
        }
        if let Some(url) = &listener.public_url
            && !is_origin(url)
        {
            let rule =
                "write http:// or https://, a host, a port where it is not the usual one, and nothing else";
            table.add(
                "public_url",
                format!("{url:?} is not where a client could go; {rule}"),
            );
        }
        for (m, selector) in listener.affinity.iter().enumerate() {
            affinity(selector, &mut table.of(&format!("affinity[{m}]")));
        }
        proxy_protocol(listener, &mut table);
        tls(listener, &mut table);
        match listener.protocol {
            Protocol::Http => http(listener, &mut table),
            Protocol::Tcp => tcp(listener, &mut table),
        }
    }
}

fn address(config: &Config, n: usize, listener: &Listener, table: &mut Table<'_>) {
    let address = listener.address;
    let before = &config.listener[..n];
    if let Some(other) = before.iter().position(|l| collide(l.address, address)) {
        let name = &before[other].name;
        table.add(
            "address",
            format!("listener {name:?} listens on {address} too; use another port"),
        );
    }
    if collide(config.api.address, address) {
        table.add(
            "address",
            format!("the API listens on {address} too; use another port"),
        );
    }
}

/// What only TCP listeners have.
fn http(listener: &Listener, table: &mut Table<'_>) {
    if listener.framing.is_some() {
        table.add(
            "framing",
            "it is for protocol = \"tcp\"; the frames of HTTP and WebSocket are known, so leave it out",
        );
    }
    if listener.max_connection_age.is_some() {
        table.add(
            "max_connection_age",
            "it is for protocol = \"tcp\"; HTTP connections are moved between two requests, so leave it out",
        );
    }
}

/// What only HTTP listeners have.
fn tcp(listener: &Listener, table: &mut Table<'_>) {
    for (m, selector) in listener.affinity.iter().enumerate() {
        if !matches!(
            selector,
            KeySelector::SourceAddress(_) | KeySelector::ClientCertificate(_)
        ) {
            table.add(
                &format!("affinity[{m}]"),
                "protocol = \"tcp\" has no requests to find it in; use { source_address = 32 }, or protocol = \"http\"",
            );
        }
    }
    for (key, set) in [
        ("forwarded", listener.forwarded),
        ("request_id", listener.request_id.is_some()),
    ] {
        if set {
            table.add(
                key,
                "protocol = \"tcp\" has no headers; leave it out, or use protocol = \"http\"",
            );
        }
    }
    if let Some(Framing::LengthPrefix(size)) = listener.framing
        && ![1, 2, 4, 8].contains(&size)
    {
        table.add(
            "framing.length_prefix",
            format!("a length of {size} bytes is not known; use 1, 2, 4 or 8"),
        );
    }
    if let Some(age) = listener.max_connection_age {
        table.not_zero("max_connection_age", age);
        if listener.framing.is_some() {
            table.add(
                "max_connection_age",
                "with framing an open connection is moved, and need not end; leave one of them out",
            );
        }
    }
}

fn proxy_protocol(listener: &Listener, table: &mut Table<'_>) {
    match (listener.proxy_protocol, listener.trusted.is_empty()) {
        (Some(_), true) => table.add(
            "proxy_protocol",
            "nobody is trusted to send it; list the load balancers' networks in trusted, as in [\"10.0.0.0/8\"]",
        ),
        (None, false) => table.add(
            "trusted",
            "without proxy_protocol no header is read; set proxy_protocol to \"v1\" or \"v2\", or leave trusted out",
        ),
        _ => {}
    }
}

fn tls(listener: &Listener, table: &mut Table<'_>) {
    let certificates = &listener.tls;
    for (m, one) in certificates.iter().enumerate() {
        let mut table = table.of(&match certificates.len() {
            1 => "tls".to_owned(),
            _ => format!("tls[{m}]"),
        });
        for (key, path) in [("certificate", &one.certificate), ("key", &one.key)] {
            if path.as_os_str().is_empty() {
                table.add(key, "is empty; name a PEM file");
            }
        }
        if one.client_ca.is_none() && one.client_auth == ClientAuth::Optional {
            table.add(
                "client_auth",
                "has no meaning without client_ca; set both or neither",
            );
        }
        let first = &certificates[0];
        if (&one.client_ca, one.client_auth) != (&first.client_ca, first.client_auth) {
            let why = "differs from that of tls[0], but a client could ask for one name and send requests for another";
            table.add(
                "client_ca",
                format!("{why}; make client_ca and client_auth the same, or use another listener"),
            );
        }
    }
    let asks = certificates.iter().any(|c| c.client_ca.is_some());
    let by_certificate = |s: &KeySelector| matches!(s, KeySelector::ClientCertificate(_));
    if !asks && let Some(m) = listener.affinity.iter().position(by_certificate) {
        let why = "no client shows a certificate here, so it would never be present";
        table
            .of(&format!("affinity[{m}]"))
            .add("client_certificate", format!("{why}; set tls.client_ca"));
    }
}

/// Port 0 is a free one each time, so it never collides.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || (everywhere && a.is_ipv4() == b.is_ipv4()))
}

/// Scheme and authority, without a path.
fn is_origin(url: &str) -> bool {
    let authority = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    authority.is_some_and(|a| !a.is_empty() && a.bytes().all(allowed))
}

fn affinity(selector: &KeySelector, table: &mut Table<'_>) {
    match selector {
        KeySelector::Cookie(cookie) => token("cookie", &cookie.name, table),
        KeySelector::Header(name) => {
            token("header", name, table);
            if name.to_ascii_lowercase().starts_with("foreshift-") {
                let why = "what clients send under Foreshift- is dropped, so it would never be present";
                table.add("header", format!("{why}; use another header"));
            }
        }
        KeySelector::Query(name) => table.not_empty("query", name),
        KeySelector::BearerClaim(name) => table.not_empty("bearer_claim", name),
        KeySelector::SourceAddress(bits) => table.range("source_address", *bits, 1..=128),
        KeySelector::PathSegment(_) | KeySelector::ClientCertificate(_) => {}
    }
}

/// Names of cookies and headers: RFC 9110, 5.6.2.
fn token(key: &str, name: &str, table: &mut Table<'_>) {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(allowed) {
        let rule = "use letters, digits and any of !#$%&'*+-.^_`|~";
        table.add(key, format!("{name:?} is not the name of a {key}; {rule}"));
    }
}
