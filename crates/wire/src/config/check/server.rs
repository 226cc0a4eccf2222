//! Rules for `[api]`, `[meta]`, `[forecast]` and `[ingress]`.

use super::{
    super::{Config, Duration, Limits},
    finding::Findings,
};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    if !config.api.address.ip().is_loopback() {
        let why = "the API has no tokens and no TLS yet, so it listens on loopback only";
        findings.of("api").add(
            "address",
            format!("{why}; use 127.0.0.1 or [::1] as the IP address"),
        );
    }
    if config.meta.path.as_os_str().is_empty() {
        findings.of("meta").add("path", "is empty; name a file");
    }
    let mut forecast = findings.of("forecast");
    let horizon = config.forecast.prediction_horizon;
    forecast.range(
        "prediction_horizon",
        horizon,
        Duration::from_secs(1)..=Duration::from_secs(600),
    );
    forecast.not_empty("model", &config.forecast.model);

    let mut ingress = findings.of("ingress");
    if let Some(workers) = config.ingress.workers {
        ingress.range("workers", workers, 1..=1024);
    }
    if let Some(zone) = &config.ingress.zone {
        ingress.not_empty("zone", zone);
        if zone.len() > 64 {
            ingress.add("zone", "is longer than 64 bytes; nodes have no such zone");
        }
    }
    ingress.range(
        "drain_timeout",
        config.ingress.drain_timeout,
        Duration::from_secs(0)..=Duration::from_secs(86_400),
    );
    if let Some(traces) = &config.ingress.traces {
        let mut table = findings.of("ingress.traces");
        table.range("sample", traces.sample, 0.0..=1.0);
        table.not_empty("service", &traces.service);
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if traces.endpoint.as_ref().is_some_and(|url| !is_url(url)) {
            let like = "write a URL such as http://127.0.0.1:4318/v1/traces";
            table.add("endpoint", format!("is no http:// or https:// URL; {like}"));
        }
    }
    if let Some(socket) = &config.ingress.handover_socket {
        // The system's limit for the path of a Unix socket is 107 bytes; a process adds its number for a moment.
        let length = socket.as_os_str().len();
        if !(1..=90).contains(&length) {
            findings.of("ingress").add(
                "handover_socket",
                format!("has {length} bytes; name a file with a path of 1 to 90"),
            );
        }
    }
    limits(&config.ingress.limits, findings);
}

fn limits(limits: &Limits, findings: &mut Findings) {
    let mut table = findings.of("ingress.limits");
    table.range("header_bytes", limits.header_bytes, 1024..=1024 * 1024);
    table.range("headers", limits.headers, 1..=1000);
    table.range("connections", limits.connections, 1..=10_000_000);
    table.range(
        "connections_per_source",
        limits.connections_per_source,
        1..=10_000_000,
    );
    table.range(
        "pause_buffer_bytes",
        limits.pause_buffer_bytes,
        1024..=64 * 1024 * 1024,
    );
    table.not_zero("header_timeout", limits.header_timeout);
    table.not_zero("idle_timeout", limits.idle_timeout);
}
