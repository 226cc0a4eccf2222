//! What keys and buckets ask for between two reports.
//!
//! Connections count for themselves; what they counted is added here when they are asked for a report, change their
//! key, or end. Buckets are exact. Of keys there may be any number, so the heavy ones are kept by a space-saving
//! sketch: memory is bounded, whatever clients do.

use std::collections::HashMap;

use foreshift_telemetry::SpaceSaving;
use foreshift_wire::{BucketReport, KeyReport, NodeId, SessionId};

use crate::connections::Delta;

/// Counters of the sketch: twice the keys that a report names, so that those are told apart from the next.
const COUNTERS: usize = 2 * KEYS_MAX;
/// Keys that a report names at most.
pub(crate) const KEYS_MAX: usize = 512;

#[derive(Debug, Default)]
struct KeyLoad {
    bytes: u64,
    busy_us: u64,
    who: Option<(String, NodeId)>,
}

/// The loads of one pool since the last report.
pub(crate) struct Loads {
    buckets: HashMap<u16, Delta>,
    keys: SpaceSaving<SessionId, KeyLoad>,
}

impl Default for Loads {
    fn default() -> Self {
        Self {
            buckets: HashMap::new(),
            keys: SpaceSaving::new(COUNTERS),
        }
    }
}

impl Loads {
    /// Adds what a connection of `session` counted. `who` names its key and node.
    pub(crate) fn add(
        &mut self,
        session: SessionId,
        delta: Delta,
        who: impl FnOnce() -> Option<(String, NodeId)>,
    ) {
        let sum = self.buckets.entry(session.bucket()).or_default();
        sum.requests = sum.requests.saturating_add(delta.requests);
        sum.bytes += delta.bytes;
        sum.busy_us += delta.busy_us;
        let load = self.keys.add(session, u64::from(delta.requests));
        load.bytes += delta.bytes;
        load.busy_us += delta.busy_us;
        if load.who.is_none() {
            load.who = who();
        }
    }

    /// What buckets asked for, with the streams that are open in them, busy or not; starts anew.
    pub(crate) fn take_buckets(&mut self, open: impl Iterator<Item = (u16, u32)>) -> Vec<BucketReport> {
        let mut open: HashMap<u16, u32> = open.collect();
        let mut reports: Vec<_> = std::mem::take(&mut self.buckets)
            .into_iter()
            .map(|(bucket, delta)| bucket_report(bucket, delta, open.remove(&bucket).unwrap_or(0)))
            .collect();
        reports.extend(
            open.into_iter()
                .map(|(bucket, open)| bucket_report(bucket, Delta::default(), open)),
        );
        reports
    }

    /// The heaviest keys, heaviest first; starts anew.
    pub(crate) fn take_keys(&mut self, open: impl Fn(SessionId) -> u32) -> Vec<KeyReport> {
        let heaviest = self.keys.heaviest();
        let reports = heaviest.iter().take(KEYS_MAX).filter_map(|heavy| {
            let (key, node) = heavy.value.who.clone()?;
            Some(KeyReport {
                session: *heavy.key,
                key,
                node,
                requests: saturated(heavy.count),
                bytes: heavy.value.bytes,
                busy_us: heavy.value.busy_us,
                open: open(*heavy.key),
                error: saturated(heavy.error),
            })
        });
        let reports = reports.collect();
        self.keys.clear();
        reports
    }
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn bucket_report(bucket: u16, delta: Delta, open: u32) -> BucketReport {
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

/// Keeps the heaviest [`KEYS_MAX`] keys, heaviest first.
pub(crate) fn keep_heaviest(keys: &mut Vec<KeyReport>) {
    keys.sort_unstable_by_key(|k| std::cmp::Reverse((k.requests, k.bytes)));
    keys.truncate(KEYS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_heavy_keys_stay() {
        let mut loads = Loads::default();
        let node = NodeId::new("a").unwrap();
        let mut add = |session: u128, requests: u32| {
            let delta = Delta {
                requests,
                bytes: 1,
                busy_us: 1,
            };
            loads.add(SessionId(session), delta, || {
                Some((session.to_string(), node.clone()))
            });
        };
        for light in 0..100_000_u128 {
            add(light << 64, 1);
            if light % 100 == 0 {
                add(7, 50);
            }
        }
        let keys = loads.take_keys(|_| 0);
        assert_eq!(keys.len(), KEYS_MAX);
        assert_eq!(keys[0].key, "7");
        assert!(
            (50_000..=50_000 + keys[0].error).contains(&keys[0].requests),
            "{:?}",
            keys[0]
        );
        assert!(loads.take_keys(|_| 0).is_empty(), "each report starts anew");
    }

    #[test]
    fn idle_streams_are_told_too() {
        let mut loads = Loads::default();
        let delta = Delta {
            requests: 3,
            bytes: 30,
            busy_us: 300,
        };
        loads.add(SessionId(5 << 112), delta, || None);
        let mut buckets = loads.take_buckets([(5, 1), (9, 2)].into_iter());
        buckets.sort_unstable_by_key(|b| b.bucket);
        assert_eq!(
            buckets,
            [bucket_report(5, delta, 1), bucket_report(9, Delta::default(), 2)]
        );
    }
}
