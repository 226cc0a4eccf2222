//! Rules for `[[pool]]` and what is in it.

use super::{
    super::{
        Config, Duration, Failover, HealthCheck, NodeConfig, Pool, PoolForecast, Protocol, UpstreamProtocol,
    },
    finding::{Findings, Table},
    resilience,
};
use crate::Capacity;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    if config.pool.is_empty() {
        findings.of("pool").add(
            "",
            "there is none; add a [[pool]] with a name and its [[pool.node]]s",
        );
    }
    for (n, pool) in config.pool.iter().enumerate() {
        let mut table = findings.of(format!("pool[{n}]"));
        if let Some(other) = config.pool[..n].iter().position(|p| p.name == pool.name) {
            let name = &pool.name;
            table.add(
                "name",
                format!("{name:?} is the name of pool[{other}] too; use another one"),
            );
        }
        thresholds(pool, &mut table);
        times(config, pool, &mut table);
        hooks(pool, &mut table);
        protocols(config, pool, &mut table);
        resilience::check(pool, &mut table);
        resilience::zone(config, pool, &mut table);
        tls(pool, &mut table);
        model(&pool.forecast, &mut table.of("forecast"));
        if let Some(health) = &pool.health {
            self::health(health, &mut table.of("health"));
        }
        super::signals::pool(pool, &mut table);
        for (m, node) in pool.node.iter().enumerate() {
            self::node(
                config,
                &pool.node[..m],
                node,
                &mut table.of(&format!("node[{m}]")),
            );
        }
    }
}

fn thresholds(pool: &Pool, table: &mut Table<'_>) {
    table.range("load_threshold", pool.load_threshold, 1.0..=100.0);
    let (headroom, threshold) = (pool.headroom, pool.load_threshold);
    // Of a threshold that is wrong itself nothing follows.
    if threshold >= 1.0 && !(0.0..threshold).contains(&headroom) {
        table.add(
            "headroom",
            format!("{headroom} is out of range: from 0 to below load_threshold ({threshold})"),
        );
    }
    if ![0.5, 0.9, 0.99].contains(&pool.trigger_quantile) {
        let quantile = pool.trigger_quantile;
        table.add(
            "trigger_quantile",
            format!("{quantile} is not forecast; use 0.5, 0.9 or 0.99"),
        );
    }
    table.range("balance_factor", pool.balance_factor, 1.05..=10.0);
    table.range("max_moves_per_tick", pool.max_moves_per_tick, 1..=100_000);
}

fn times(config: &Config, pool: &Pool, table: &mut Table<'_>) {
    let (horizon, interval) = (config.forecast.prediction_horizon, pool.check_interval);
    table.range(
        "check_interval",
        interval,
        Duration::from_millis(100)..=Duration::from_secs(60),
    );
    if interval > horizon {
        let rule = "make one of them fit";
        table.add(
            "check_interval",
            format!("{interval} is longer than forecast.prediction_horizon ({horizon}), so nothing could be seen coming; {rule}"),
        );
    }
    table.not_zero("migration_interval", pool.migration_interval);
    table.not_zero("migration_deadline", pool.migration_deadline);
    table.range(
        "migration_within",
        pool.migration_within,
        Duration::from_secs(1)..=Duration::from_secs(600),
    );
    table.range("reconnects_per_second", pool.reconnects_per_second, 1..=100_000);
    table.not_zero("connect_timeout", pool.connect_timeout);
    table.not_zero("request_timeout", pool.request_timeout);
}

fn hooks(pool: &Pool, table: &mut Table<'_>) {
    match (&pool.handoff_path, &pool.resume_path) {
        (Some(_), None) => table.add(
            "handoff_path",
            "without resume_path the state that it gives could not be handed over; set both or neither",
        ),
        (None, Some(_)) => table.add(
            "resume_path",
            "without handoff_path there is no state to hand over; set both or neither",
        ),
        _ => {}
    }
    for (key, path) in [
        ("handoff_path", &pool.handoff_path),
        ("resume_path", &pool.resume_path),
    ] {
        if let Some(path) = path {
            table.path(key, path);
        }
    }
}

/// What a pool needs HTTP for, where TCP listeners use it.
fn protocols(config: &Config, pool: &Pool, table: &mut Table<'_>) {
    let users = || config.listener.iter().filter(|l| l.pool == pool.name);
    let Some(tcp) = users().find(|l| l.protocol == Protocol::Tcp) else {
        return;
    };
    let name = &tcp.name;
    for (key, set) in [
        ("handoff_path", pool.handoff_path.is_some()),
        ("resume_path", pool.resume_path.is_some()),
    ] {
        if set {
            table.add(
                key,
                format!("listener {name:?} is protocol = \"tcp\", whose nodes are not asked over HTTP; leave it out, or give that listener a pool of its own"),
            );
        }
    }
    if users().any(|l| l.protocol == Protocol::Http) {
        return;
    }
    if pool.upstream_protocol != UpstreamProtocol::Auto {
        table.add(
            "upstream_protocol",
            format!(
                "listener {name:?} is protocol = \"tcp\", which passes on whatever is spoken; leave it out"
            ),
        );
    }
    if pool.failover == Failover::Resume && users().all(|l| l.framing.is_none()) {
        table.add(
            "failover",
            format!("listener {name:?} is protocol = \"tcp\" without framing, so no other node can go on; leave it out, or set framing"),
        );
    }
}

fn tls(pool: &Pool, table: &mut Table<'_>) {
    match (pool.upstream_protocol, &pool.tls) {
        (UpstreamProtocol::H2, None) => table.add(
            "upstream_protocol",
            "\"h2\" is HTTP/2 over TLS; set tls, or use \"h2c\" for HTTP/2 in the clear",
        ),
        (UpstreamProtocol::H2c, Some(_)) => table.add(
            "upstream_protocol",
            "\"h2c\" is HTTP/2 in the clear; use \"h2\" with tls",
        ),
        _ => {}
    }
    let Some(tls) = &pool.tls else { return };
    let mut table = table.of("tls");
    for (key, path) in [
        ("ca", &tls.ca),
        ("certificate", &tls.certificate),
        ("key", &tls.key),
    ] {
        if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            table.add(key, "is empty; name a PEM file");
        }
    }
    if let Some(name) = &tls.server_name {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if name.is_empty() || !name.bytes().all(allowed) {
            table.add(
                "server_name",
                format!("{name:?} is neither a DNS name nor an IP address"),
            );
        }
    }
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => table.add(
            "certificate",
            "without key it cannot be shown; set both or neither",
        ),
        (None, Some(_)) => table.add(
            "key",
            "without certificate there is nothing to show; set both or neither",
        ),
        _ => {}
    }
    if !tls.verify && tls.ca.is_some() {
        table.add("ca", "is not used with verify = false; leave one of them out");
    }
}

fn model(forecast: &PoolForecast, table: &mut Table<'_>) {
    let Some(path) = &forecast.model_path else { return };
    let extension = path.extension().and_then(|extension| extension.to_str());
    if !matches!(extension, Some("onnx" | "safetensors")) {
        let shown = path.display();
        table.add(
            "model_path",
            format!("{shown} is neither an .onnx nor a .safetensors file; name one"),
        );
    }
}

fn health(health: &HealthCheck, table: &mut Table<'_>) {
    if let Some(path) = &health.path {
        table.path("path", path);
    }
    table.not_zero("interval", health.interval);
    table.not_zero("timeout", health.timeout);
    if health.timeout > health.interval && !health.interval.is_zero() {
        let (timeout, interval) = (health.timeout, health.interval);
        table.add(
            "timeout",
            format!("{timeout} is longer than interval ({interval}); make it at most that"),
        );
    }
    table.range("rise", health.rise, 1..=1000);
    table.range("fall", health.fall, 1..=1000);
}

fn node(config: &Config, before: &[NodeConfig], node: &NodeConfig, table: &mut Table<'_>) {
    if let Some(other) = before.iter().position(|o| o.id == node.id) {
        let id = &node.id;
        table.add(
            "id",
            format!("{id:?} is the id of node[{other}] of this pool too; use another one"),
        );
    }
    if node.address.port() == 0 || node.address.ip().is_unspecified() {
        table.add(
            "address",
            format!(
                "{} cannot be connected to; write the node's own IP address and port",
                node.address
            ),
        );
    }
    if let Some(listener) = config.listener.iter().find(|l| l.address == node.address) {
        let name = &listener.name;
        table.add(
            "address",
            format!("listener {name:?} listens there: requests would go in a circle"),
        );
    }
    table.above_zero("weight", node.weight);
    if let Some(maxconn) = node.maxconn {
        table.range("maxconn", maxconn, 1..=10_000_000);
    }
    capacity(&node.capacity, &mut table.of("capacity"));
}

fn capacity(capacity: &Capacity, table: &mut Table<'_>) {
    let Capacity {
        requests_in_flight,
        connections,
        requests_per_second,
        bytes_per_second,
        response_time_ms,
    } = capacity;
    for (key, value) in [
        ("requests_in_flight", requests_in_flight.map(f64::from)),
        ("connections", connections.map(f64::from)),
        ("requests_per_second", *requests_per_second),
        ("bytes_per_second", *bytes_per_second),
        ("response_time_ms", *response_time_ms),
    ] {
        if let Some(value) = value {
            table.above_zero(key, value);
        }
    }
}
