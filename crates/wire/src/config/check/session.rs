//! Rules for `[session]`, and for what pools and nodes say of sessions' state.

use std::{collections::HashSet, ops::RangeInclusive};

use super::{
    super::{Config, Duration, Pool, ReplayWay, Session, SessionEngine},
    finding::{Findings, Table},
};

/// What a size may be, in bytes.
const SIZES: RangeInclusive<u64> = 1..=1024 * 1024 * 1024;
/// Timeouts of sessions.
const LIFE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 86_400);

pub(super) fn check(config: &Config, session: &Session, findings: &mut Findings) {
    let mut table = findings.of("session");
    engine(session, &mut table);
    listeners(session, &mut table);
    table.range("idle_timeout", session.idle_timeout, LIFE);
    table.range("absolute_timeout", session.absolute_timeout, LIFE);
    if session.key_file.as_os_str().is_empty() {
        table.add("key_file", "is empty; name a file");
    }
    table.range("max_bytes", session.max_bytes, SIZES);
    table.range("max_session_bytes", session.max_session_bytes, SIZES);
    table.range("max_value_bytes", session.max_value_bytes, SIZES);
    table.range("cache_bytes", session.cache_bytes, 1024 * 1024..=1 << 40);
    for (n, partition) in session.partition.iter().enumerate() {
        let mut table = table.of(&format!("partition[{n}]"));
        if let Some(pool) = &partition.pool
            && !config.pool.iter().any(|p| p.name == *pool)
        {
            table.add("pool", format!("there is no pool {pool}; name one of [[pool]]"));
        }
        if let Some(max) = partition.max_bytes {
            table.range("max_bytes", max, SIZES);
        }
        if let Some(lifetime) = partition.lifetime {
            table.range("lifetime", lifetime, LIFE);
        }
        for (n, node) in partition.required_by.iter().enumerate() {
            let known = |id: &str| {
                config
                    .pool
                    .iter()
                    .flat_map(|p| &p.node)
                    .any(|n| n.id.as_str() == id)
            };
            if node != "*" && !known(node) {
                table.add(
                    &format!("required_by[{n}]"),
                    format!("no pool has a node {node:?}; name one, or \"*\" for all"),
                );
            }
        }
    }
    tokens(session, &mut table);
}

fn engine(session: &Session, table: &mut Table<'_>) {
    match session.engine {
        SessionEngine::Embedded => {
            if session.path.as_os_str().is_empty() {
                table.add("path", "is empty; name a file");
            }
            if !session.urls.is_empty() {
                table.add("urls", "are for engine = \"redis\"; set that, or leave them out");
            }
            if session.cluster {
                table.add("cluster", "is for engine = \"redis\"; set that, or leave it out");
            }
            if session.wait_replicas > 0 {
                table.add(
                    "wait_replicas",
                    "is for engine = \"redis\"; set that, or leave it out",
                );
            }
        }
        SessionEngine::Redis => {
            if session.urls.is_empty() {
                table.add(
                    "urls",
                    "is empty; name servers, as in [\"redis://127.0.0.1:6379\"]",
                );
            }
            if session.urls.len() > 1 && !session.cluster {
                table.add(
                    "urls",
                    "has several servers, which only a cluster has; set cluster = true, or name one",
                );
            }
            for (n, url) in session.urls.iter().enumerate() {
                if !url.starts_with("redis://") && !url.starts_with("rediss://") {
                    // Not repeated here: it may hold a password.
                    let like = "write it as in redis://127.0.0.1:6379";
                    table.add(
                        &format!("urls[{n}]"),
                        format!("is no redis:// or rediss:// URL; {like}"),
                    );
                }
            }
        }
    }
    let short = Duration::from_millis(10)..=Duration::from_secs(60);
    table.range("wait_timeout", session.wait_timeout, short.clone());
    table.range("timeout", session.timeout, short);
}

fn listeners(session: &Session, table: &mut Table<'_>) {
    for (key, address) in [("redis_view", session.redis_view), ("address", session.address)] {
        if address.is_some_and(|a| !a.ip().is_loopback()) && session.token.is_empty() {
            let why = "can be reached from elsewhere, and nobody needs a token";
            table.add(
                key,
                format!("{why}; add [[session.token]], or use 127.0.0.1 or [::1] as the IP address"),
            );
        }
    }
}

fn tokens(session: &Session, table: &mut Table<'_>) {
    let mut files = HashSet::new();
    for (n, token) in session.token.iter().enumerate() {
        let mut table = table.of(&format!("token[{n}]"));
        if token.file.as_os_str().is_empty() {
            table.add("file", "is empty; name a file");
        } else if !files.insert(&token.file) {
            table.add("file", "is that of another token; each needs one of its own");
        }
        if token.partitions.is_empty() {
            table.add(
                "partitions",
                "is empty, so that the token allows nothing; name some, or leave the key out",
            );
        }
    }
}

/// What a pool says of sessions' state.
pub(super) fn pool(config: &Config, pool: &Pool, table: &mut Table<'_>) {
    let needs = "needs the table [session]; add it, or leave this out";
    if config.session.is_none() {
        if pool.replay != ReplayWay::Auto {
            table.add("replay", needs);
        }
        if pool.replay_path.is_some() {
            table.add("replay_path", needs);
        }
        for (n, node) in pool.node.iter().enumerate() {
            if !node.required_partitions.is_empty() {
                table.add(&format!("node[{n}].required_partitions"), needs);
            }
        }
    }
    if pool.replay == ReplayWay::Push && pool.replay_path.is_none() {
        table.add(
            "replay",
            "\"push\" needs replay_path: where the nodes take partitions",
        );
    }
    if let Some(path) = &pool.replay_path
        && (!path.starts_with('/') || path.ends_with('/') || path.contains(['?', '#', ' ']))
    {
        table.add(
            "replay_path",
            format!("{path:?} is no path; write it as in \"/foreshift/state\""),
        );
    }
}
