//! What a worker measured since it was last asked.

use std::time::Instant;

use foreshift_wire::{BucketReport, KeyReport, NodeId, PoolReport, SessionId};
use std::collections::HashMap;

use super::Worker;
use crate::connections::{Delta, key_text};

/// Keys that a report names at most.
pub(crate) const KEYS_MAX: usize = 512;

struct KeySum {
    delta: Delta,
    key: String,
    node: NodeId,
}

#[derive(Default)]
struct Gathered {
    /// With open streams.
    buckets: HashMap<u16, (Delta, u32)>,
    keys: HashMap<SessionId, KeySum>,
}

impl Worker {
    /// One element a pool. Exact: only connections that counted something since the last report are visited.
    pub(super) fn report(&self) -> Vec<PoolReport> {
        let mut gathered: Vec<Gathered> = (0..self.pools.len())
            .map(|pool| self.open_streams(pool))
            .collect();
        for (connection, delta) in self.connections.take_deltas() {
            let Some(session) = connection.session.get() else {
                continue;
            };
            let Some(node) = connection.node.borrow().as_ref().map(|n| n.id.clone()) else {
                continue;
            };
            let pool = &mut gathered[connection.pool];
            add(&mut pool.buckets.entry(session.bucket()).or_default().0, delta);
            let key = || key_text(&connection.key.borrow());
            let entry = pool.keys.entry(session);
            let sum = entry.or_insert_with(|| KeySum {
                delta: Delta::default(),
                key: key(),
                node,
            });
            add(&mut sum.delta, delta);
        }
        let now = Instant::now();
        let reports = self
            .pools
            .iter()
            .zip(gathered)
            .enumerate()
            .map(|(index, (pool, gathered))| PoolReport {
                pool: pool.config.name.clone(),
                nodes: pool.table.nodes().iter().map(|n| n.take_report(now)).collect(),
                buckets: gathered.buckets.into_iter().map(bucket_report).collect(),
                keys: self.key_reports(index, gathered.keys),
            });
        reports.collect()
    }

    fn open_streams(&self, pool: usize) -> Gathered {
        let streams = self.connections.streams_by_bucket(pool);
        let buckets = streams
            .into_iter()
            .map(|(bucket, open)| (bucket, (Delta::default(), open)))
            .collect();
        Gathered {
            buckets,
            keys: HashMap::new(),
        }
    }

    fn key_reports(&self, pool: usize, keys: HashMap<SessionId, KeySum>) -> Vec<KeyReport> {
        let mut reports = heaviest(keys.into_iter().map(key_report).collect());
        for report in &mut reports {
            report.open = self.connections.streams_of(pool, report.session);
        }
        reports
    }
}

fn add(sum: &mut Delta, delta: Delta) {
    sum.requests = sum.requests.saturating_add(delta.requests);
    sum.bytes += delta.bytes;
    sum.busy_us += delta.busy_us;
}

fn bucket_report((bucket, (delta, open)): (u16, (Delta, u32))) -> BucketReport {
    let Delta {
        requests,
        bytes,
        busy_us,
    } = delta;
    BucketReport {
        bucket,
        requests,
        bytes,
        busy_us,
        open,
    }
}

fn key_report((session, sum): (SessionId, KeySum)) -> KeyReport {
    let KeySum {
        delta: Delta {
            requests,
            bytes,
            busy_us,
        },
        key,
        node,
    } = sum;
    KeyReport {
        session,
        key,
        node,
        requests,
        bytes,
        busy_us,
        open: 0,
        error: 0,
    }
}

/// The [`KEYS_MAX`] keys with the most requests, heaviest first.
pub(crate) fn heaviest(mut reports: Vec<KeyReport>) -> Vec<KeyReport> {
    let weight = |r: &KeyReport| std::cmp::Reverse((r.requests, r.bytes));
    if reports.len() > KEYS_MAX {
        reports.select_nth_unstable_by_key(KEYS_MAX, weight);
        reports.truncate(KEYS_MAX);
    }
    reports.sort_unstable_by_key(weight);
    reports
}
