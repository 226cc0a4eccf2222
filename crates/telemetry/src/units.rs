//! What could be moved: the loads of keys and buckets, smoothed and bounded.
//!
//! A tick costs what its report is long, not what is kept. Ranking a node's units costs one pass over what is kept, and is
//! asked for only when some node crosses its threshold.

mod buckets;
mod keys;

use std::time::Duration;

use buckets::Buckets;
use foreshift_wire::{BucketReport, KeyReport, NodeId, SessionId, Unit};
use keys::Keys;

use crate::smooth::{Rates, Tick};

/// How loads of keys and buckets are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyLoadOptions {
    /// After a change, 63 % of it is followed in this time; at least 1 ms.
    pub time_constant: Duration,
    /// Keys kept at most; the lightest go first.
    pub keys_max: usize,
}

impl Default for KeyLoadOptions {
    /// 5 s, 4,096 keys.
    fn default() -> Self {
        Self {
            time_constant: Duration::from_secs(5),
            keys_max: 4096,
        }
    }
}

/// A key or a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnitKind {
    /// One key.
    Key(SessionId),
    /// A bucket, 0 to 65,535.
    Bucket(u16),
}

/// The load of a key or bucket, smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UnitRate {
    /// Requests (and WebSocket data messages) per second.
    pub requests_per_s: f64,
    /// Bytes per second, both directions together.
    pub bytes_per_s: f64,
    /// Requests in flight: the share of a node's workers that it keeps busy.
    pub in_flight: f64,
    /// Open connections and streams; not smoothed. Of a key, when it was last among the heaviest.
    pub open: u32,
}

impl UnitRate {
    fn new([requests_per_s, bytes_per_s, in_flight]: Rates, open: u32) -> Self {
        Self {
            requests_per_s,
            bytes_per_s,
            in_flight,
            open,
        }
    }
}

/// A unit and its load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitLoad {
    /// What.
    pub unit: UnitKind,
    /// How much.
    pub rate: UnitRate,
    /// What it was ranked by.
    pub weight: f64,
}

/// Smoothed loads of a pool's heaviest keys and of its buckets.
///
/// A key's load is what is certain of it (the sketch's count less its possible error), so that a plan never counts on
/// relief that may not come. A bucket's load includes that of its keys. What was not heard of for seven time constants is
/// dropped. A clock that is set back makes everything as old as `now`; a jump forward counts as silence.
#[derive(Debug, Clone)]
pub struct KeyLoads {
    keys: Keys,
    buckets: Buckets,
    constant_ms: f64,
    idle_ms: u64,
    keys_max: usize,
    now_ms: u64,
    swept_ms: u64,
}

impl KeyLoads {
    /// Empty.
    pub fn new(options: KeyLoadOptions) -> Self {
        let constant_ms = (options.time_constant.as_secs_f64() * 1e3).max(1.0);
        Self {
            keys: Keys::default(),
            buckets: Buckets::default(),
            constant_ms,
            idle_ms: (constant_ms * 7.0) as u64,
            keys_max: options.keys_max.max(1),
            now_ms: 0,
            swept_ms: 0,
        }
    }

    /// Takes the report of an interval that ends at `now_ms`. `interval` is measured by a clock that does not jump; a report over
    /// less than a millisecond is left out.
    pub fn observe(&mut self, now_ms: u64, interval: Duration, keys: &[KeyReport], buckets: &[BucketReport]) {
        if interval < Duration::from_millis(1) {
            return;
        }
        if now_ms < self.now_ms {
            self.keys.clamp(now_ms);
            self.buckets.clamp(now_ms);
        }
        self.now_ms = now_ms;
        let tick = Tick::new(now_ms, interval, self.constant_ms);
        keys.iter().for_each(|report| self.keys.observe(report, &tick));
        buckets
            .iter()
            .for_each(|report| self.buckets.observe(report, &tick));
        self.keys.trim(self.keys_max, now_ms, self.constant_ms);
        // Often enough that what is idle never makes up most of what is kept.
        if now_ms.abs_diff(self.swept_ms) >= self.idle_ms / 4 {
            self.swept_ms = now_ms;
            self.keys.sweep(now_ms, self.idle_ms);
            self.buckets.sweep(now_ms, self.idle_ms);
        }
    }

    /// A key's load; `None` where nothing is known of it.
    pub fn key(&self, session: SessionId) -> Option<UnitRate> {
        self.keys.rate(session, self.now_ms, self.constant_ms)
    }

    /// The node that served a key last.
    pub fn node_of(&self, session: SessionId) -> Option<&NodeId> {
        self.keys.get(session).map(|known| &known.node)
    }

    /// A bucket's load; `None` where nothing is known of it.
    pub fn bucket(&self, bucket: u16) -> Option<UnitRate> {
        self.buckets.rate(bucket, self.now_ms, self.constant_ms)
    }

    /// A unit as it travels; a key of which nothing is known has no text.
    pub fn unit(&self, unit: UnitKind) -> Unit {
        match unit {
            UnitKind::Bucket(bucket) => Unit::Bucket { bucket },
            UnitKind::Key(session) => Unit::Key {
                session,
                key: self
                    .keys
                    .get(session)
                    .map_or_else(String::new, |k| k.key.to_string()),
            },
        }
    }

    /// Keys and buckets kept.
    pub fn len(&self) -> (usize, usize) {
        (self.keys.len(), self.buckets.len())
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// All that is kept, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (UnitKind, UnitRate)> + '_ {
        let keys = self.keys.iter(self.now_ms, self.constant_ms);
        keys.chain(self.buckets.iter(self.now_ms, self.constant_ms))
    }

    /// Of each of `groups` (the nodes to relieve), its `count` heaviest units, heaviest first.
    ///
    /// `group` says which one a unit is in, if any; `weight` what to rank by, since which of its rates matters
    /// depends on what the node is short of. Units whose weight is not above 0 are left out. One pass over what is kept.
    pub fn heaviest(
        &self,
        groups: usize,
        count: usize,
        group: impl Fn(UnitKind) -> Option<usize>,
        weight: impl Fn(&UnitRate) -> f64,
    ) -> Vec<Vec<UnitLoad>> {
        let mut found: Vec<Vec<UnitLoad>> = vec![Vec::new(); groups];
        for (unit, rate) in self.iter() {
            let Some(list) = group(unit).and_then(|n| found.get_mut(n)) else {
                continue;
            };
            let weight = weight(&rate);
            if weight > 0.0 {
                list.push(UnitLoad { unit, rate, weight });
            }
        }
        for list in &mut found {
            // The unit breaks ties, so that equal inputs give equal plans.
            let heavier =
                |a: &UnitLoad, b: &UnitLoad| b.weight.total_cmp(&a.weight).then(a.unit.cmp(&b.unit));
            if list.len() > count {
                list.select_nth_unstable_by(count, heavier);
                list.truncate(count);
            }
            list.sort_unstable_by(heavier);
        }
        found
    }
}
