//! Shares one ingress among pools with their own intervals.
//!
//! A report holds what happened in all pools since the last one, so whoever asks gets everybody's: what
//! belongs to other pools is added up here until they come for it.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use foreshift_wire::{BucketReport, KeyReport, NodeReport, PoolName, PoolReport};
use tokio::sync::Mutex;

use crate::data_plane::SharedPlane;

/// What happened in one pool over `interval`.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) report: PoolReport,
    pub(crate) interval: Duration,
}

pub(crate) struct Reports {
    plane: SharedPlane,
    pending: Mutex<HashMap<PoolName, Pending>>,
}

struct Pending {
    /// With the moment from which the ages in it count.
    report: Option<(PoolReport, Instant)>,
    since: Instant,
}

impl Reports {
    pub(crate) fn new(plane: SharedPlane) -> Self {
        Self {
            plane,
            pending: Mutex::default(),
        }
    }

    /// Knows one pool more from now on.
    pub(crate) async fn add(&self, pool: &PoolName) {
        let since = Instant::now();
        let pending = Pending { report: None, since };
        self.pending.lock().await.insert(pool.clone(), pending);
    }

    /// What happened in `pool` since this was asked for it last; `None` where the ingress does not know it.
    pub(crate) async fn take(&self, pool: &PoolName) -> Option<Observed> {
        let mut pending = self.pending.lock().await;
        let told = self.plane.report().await.pools;
        let now = Instant::now();
        for report in told {
            if let Some(pending) = pending.get_mut(&report.pool) {
                let report = match pending.report.take() {
                    None => report,
                    Some((earlier, at)) => add(aged(earlier, now - at), report),
                };
                pending.report = Some((report, now));
            }
        }
        let pending = pending.get_mut(pool)?;
        let (report, at) = pending.report.take()?;
        let report = aged(report, now - at);
        let interval = now.duration_since(std::mem::replace(&mut pending.since, now));
        Some(Observed { report, interval })
    }
}

/// The report when `passed` has gone by since it was made.
fn aged(mut report: PoolReport, passed: Duration) -> PoolReport {
    let passed_us = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
    for heard in report.nodes.iter_mut().filter_map(|node| node.in_band.as_mut()) {
        heard.age_us = heard.age_us.saturating_add(passed_us);
    }
    report
}

/// Two reports of one pool, one after the other, as one. Gauges are the later one's.
fn add(earlier: PoolReport, later: PoolReport) -> PoolReport {
    PoolReport {
        over_retry_budget: earlier.over_retry_budget + later.over_retry_budget,
        pool: later.pool,
        nodes: join(
            earlier.nodes,
            later.nodes,
            |n| n.node.clone(),
            add_nodes,
            |n| {
                (n.in_flight, n.connections, n.resilience.pending) = (0, 0, 0);
            },
        ),
        buckets: join(
            earlier.buckets,
            later.buckets,
            |b| b.bucket,
            add_buckets,
            |b| b.open = 0,
        ),
        keys: join(earlier.keys, later.keys, |k| k.session, add_keys, |k| k.open = 0),
        refused: earlier.refused + later.refused,
    }
}

/// Both lists by key; what is only in the earlier one has ended, as `end` notes.
fn join<T, K: Ord>(
    earlier: Vec<T>,
    later: Vec<T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, &T),
    end: impl Fn(&mut T),
) -> Vec<T> {
    let mut joined: BTreeMap<K, T> = BTreeMap::new();
    for mut item in earlier {
        end(&mut item);
        joined.insert(key(&item), item);
    }
    for item in later {
        match joined.get_mut(&key(&item)) {
            Some(sum) => add(sum, &item),
            None => {
                joined.insert(key(&item), item);
            }
        }
    }
    joined.into_values().collect()
}

fn add_nodes(sum: &mut NodeReport, later: &NodeReport) {
    sum.requests += later.requests;
    sum.errors += later.errors;
    sum.bytes += later.bytes;
    sum.busy_us += later.busy_us;
    sum.in_flight = later.in_flight;
    sum.connections = later.connections;
    sum.resilience.pending = 0;
    sum.resilience.add(&later.resilience);
    let mut counts: BTreeMap<u32, u64> = sum.response.0.iter().copied().collect();
    for (index, count) in &later.response.0 {
        *counts.entry(*index).or_default() += count;
    }
    sum.response.0 = counts.into_iter().collect();
    match (&mut sum.in_band, later.in_band.clone()) {
        (Some(sum), Some(mut later)) => {
            std::mem::swap(sum, &mut later);
            sum.add(later);
        }
        (sum, later) => *sum = sum.take().or(later),
    }
}

fn add_buckets(sum: &mut BucketReport, later: &BucketReport) {
    sum.requests = sum.requests.saturating_add(later.requests);
    sum.bytes += later.bytes;
    sum.busy_us += later.busy_us;
    sum.open = later.open;
}

fn add_keys(sum: &mut KeyReport, later: &KeyReport) {
    sum.requests = sum.requests.saturating_add(later.requests);
    sum.error = sum.error.saturating_add(later.error);
    sum.bytes += later.bytes;
    sum.busy_us += later.busy_us;
    sum.open = later.open;
    sum.node = later.node.clone();
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{LatencyBuckets, NodeId, NodeResilience};

    use super::*;

    fn node(id: &str, requests: u64, connections: u32, response: &[(u32, u64)]) -> NodeReport {
        NodeReport {
            node: NodeId::new(id).unwrap(),
            requests,
            errors: 1,
            bytes: 10,
            busy_us: 100,
            in_flight: connections,
            connections,
            response: LatencyBuckets(response.to_vec()),
            in_band: None,
            resilience: NodeResilience {
                retries: 3,
                pending: connections,
                ..Default::default()
            },
        }
    }

    fn report(nodes: Vec<NodeReport>) -> PoolReport {
        PoolReport {
            pool: PoolName::new("app").unwrap(),
            nodes,
            buckets: Vec::new(),
            keys: Vec::new(),
            refused: 0,
            over_retry_budget: 2,
        }
    }

    #[test]
    fn counts_add_up_and_gauges_are_the_later_ones() {
        let earlier = report(vec![node("a", 5, 9, &[(1, 2), (4, 1)]), node("gone", 1, 3, &[])]);
        let later = report(vec![node("a", 7, 4, &[(2, 1), (4, 2)]), node("new", 2, 6, &[])]);
        let sum = add(earlier, later);
        let [a, gone, new] = sum.nodes.as_slice() else {
            panic!("three nodes: {sum:?}")
        };
        assert_eq!(
            (a.requests, a.errors, a.bytes, a.busy_us, a.connections),
            (12, 2, 20, 200, 4)
        );
        assert_eq!(a.response.0, [(1, 2), (2, 1), (4, 3)]);
        assert_eq!((a.resilience.retries, a.resilience.pending), (6, 4));
        assert_eq!((sum.over_retry_budget, gone.resilience.pending), (4, 0));
        assert_eq!((gone.requests, gone.connections), (1, 0));
        assert_eq!((new.requests, new.connections), (2, 6));
    }
}
