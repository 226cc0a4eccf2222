//! What is allowed but probably not meant.

use super::{
    super::{Config, ConfigWarning, KeySelector, Listener, Mode, Pool, SameSite},
    finding::{Findings, Table},
};
use crate::Capacity;

pub(super) fn warnings(config: &Config) -> Vec<ConfigWarning> {
    let mut findings = Findings::default();
    for (n, listener) in config.listener.iter().enumerate() {
        self::listener(listener, &mut findings.of(format!("listener[{n}]")));
    }
    for (n, pool) in config.pool.iter().enumerate() {
        let mut table = findings.of(format!("pool[{n}]"));
        if !config.listener.iter().any(|l| l.pool == pool.name) {
            table.add("name", "no listener uses this pool, so nothing reaches it");
        }
        zone(config, pool, &mut table);
        self::pool(pool, &mut table);
    }
    let warning = |f: super::finding::Finding| ConfigWarning {
        key: f.key,
        message: f.message,
    };
    findings.0.into_iter().map(warning).collect()
}

fn zone(config: &Config, pool: &Pool, table: &mut Table<'_>) {
    let issues = |s: &KeySelector| matches!(s, KeySelector::Cookie(cookie) if cookie.issue);
    let mut users = config.listener.iter().filter(|l| l.pool == pool.name);
    if pool.zone_preference.is_some() && !users.any(|l| l.affinity.iter().any(issues)) {
        table.add(
            "zone_preference",
            "no listener of this pool issues a cookie, and keys that clients bring go where the map says: nothing is preferred",
        );
    }
    let near = |zone: &String| pool.node.iter().any(|n| n.zone == *zone);
    if pool.zone_preference.is_some()
        && !pool.node.is_empty()
        && !config.ingress.zone.as_ref().is_some_and(near)
    {
        table.add(
            "zone_preference",
            "no node of this pool is in ingress.zone, so nothing is preferred",
        );
    }
}

fn listener(listener: &Listener, table: &mut Table<'_>) {
    let always = |s: &KeySelector| match s {
        KeySelector::SourceAddress(_) => true,
        KeySelector::Cookie(cookie) => cookie.issue,
        _ => false,
    };
    if let Some(n) = listener.affinity.iter().position(always)
        && n + 1 < listener.affinity.len()
    {
        let later = format!("affinity[{}]", n + 1);
        table.add(
            &later,
            format!("never used: affinity[{n}] is present in every request"),
        );
    }
    for (n, selector) in listener.affinity.iter().enumerate() {
        if let KeySelector::Cookie(cookie) = selector
            && cookie.issue
            && cookie.same_site == SameSite::None
            && listener.tls.is_empty()
        {
            let key = format!("affinity[{n}].cookie");
            table.add(
                &key,
                "browsers take SameSite=None only with Secure, that is under TLS",
            );
        }
    }
}

fn pool(pool: &Pool, table: &mut Table<'_>) {
    if pool.node.is_empty() {
        table.add(
            "",
            "it has no node: requests are refused until one is added over the API",
        );
    }
    if pool.health.is_none() && !pool.node.is_empty() {
        table.add(
            "health",
            "not set: a node that fails is only found by requests that fail",
        );
    }
    if pool.tls.as_ref().is_some_and(|tls| !tls.verify) {
        table.of("tls").add(
            "verify",
            "false: whoever can take a node's place on the network can read and change everything",
        );
    }
    if pool.mode == Mode::Act && pool.node.len() == 1 {
        table.add(
            "mode",
            "\"act\" with a single node: there is nowhere to move to until one is added",
        );
    }
    for (n, node) in pool.node.iter().enumerate() {
        let mut table = table.of(&format!("node[{n}]"));
        if node.capacity == Capacity::default() {
            let what = "not set: only a node that reports its own load has a load score";
            table.add(
                "capacity",
                format!("{what}; set requests_in_flight or another limit"),
            );
        }
        if let Some(other) = pool.node[..n].iter().position(|o| o.address == node.address) {
            table.add("address", format!("node[{other}] has the same one"));
        }
    }
}
