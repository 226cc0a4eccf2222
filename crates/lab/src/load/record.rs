//! What was measured.

use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::Tally;

/// One answered work item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was meant to be sent, in microseconds from the start.
    pub at_us: u64,
    /// From then until its answer, in microseconds.
    pub latency_us: u32,
    /// Who answered: index into [`Record::nodes`].
    pub node: u8,
}

/// Quantiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Highest.
    pub max_ms: f64,
}

impl Latency {
    /// Exact quantiles (nearest rank) of microseconds; `None` where there are none.
    pub fn of(mut micros: Vec<u64>) -> Option<Self> {
        micros.sort_unstable();
        let rank = |q: f64| {
            let rank = (q * micros.len() as f64).ceil() as usize;
            micros
                .get(rank.clamp(1, micros.len().max(1)) - 1)
                .map(|us| *us as f64 / 1e3)
        };
        Some(Self {
            p50_ms: rank(0.5)?,
            p99_ms: rank(0.99)?,
            p999_ms: rank(0.999)?,
            max_ms: rank(1.0)?,
        })
    }
}

/// What the clients saw so far. Shared between them and whoever shows it.
#[derive(Debug, Default)]
pub struct Record(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    nodes: Vec<String>,
    samples: Vec<Sample>,
    /// Intended times of work items that failed or were never answered.
    failed_us: Vec<u64>,
    tally: Tally,
    reconnects: u64,
    sample_of_failure: Option<String>,
}

impl Record {
    pub(super) fn answered(&self, at_us: u64, latency_us: u64, node: &str) {
        let mut inner = self.lock();
        let node = inner.nodes.iter().position(|n| n == node).unwrap_or_else(|| {
            inner.nodes.push(node.into());
            inner.nodes.len() - 1
        });
        let latency_us = u32::try_from(latency_us).unwrap_or(u32::MAX);
        inner.samples.push(Sample {
            at_us,
            latency_us,
            node: node as u8,
        });
    }

    pub(super) fn failed(&self, at_us: u64, why: &str) {
        let mut inner = self.lock();
        inner.failed_us.push(at_us);
        inner.sample_of_failure.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn add(&self, tally: Tally) {
        self.lock().tally += tally;
    }

    pub(super) fn reconnected(&self) {
        self.lock().reconnects += 1;
    }

    /// The nodes that answered.
    pub fn nodes(&self) -> Vec<String> {
        self.lock().nodes.clone()
    }

    /// Work items answered so far.
    pub fn answers(&self) -> usize {
        self.lock().samples.len()
    }

    /// The samples from the given one on, in the order of their answers.
    pub fn samples_from(&self, first: usize) -> Vec<Sample> {
        self.lock().samples.get(first..).unwrap_or_default().to_vec()
    }

    /// Work items that failed or were never answered.
    pub fn errors(&self) -> u64 {
        self.lock().failed_us.len() as u64
    }

    /// The first failure, in words.
    pub fn first_failure(&self) -> Option<String> {
        self.lock().sample_of_failure.clone()
    }

    /// WebSockets that had to be opened again.
    pub fn reconnects(&self) -> u64 {
        self.lock().reconnects
    }

    /// What became of the WebSocket messages and the sessions' counters. Complete once the load has ended.
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Quantiles over everything that was answered.
    pub fn latency(&self) -> Option<Latency> {
        Latency::of(
            self.lock()
                .samples
                .iter()
                .map(|s| u64::from(s.latency_us))
                .collect(),
        )
    }

    /// The 99th percentile of each second's work items, by their intended time, in milliseconds. What was not
    /// answered counts as slower than anything.
    pub fn p99_by_second(&self, seconds: u32) -> Vec<f64> {
        let inner = self.lock();
        let mut by_second = vec![Vec::new(); seconds as usize];
        let answered = inner
            .samples
            .iter()
            .map(|s| (s.at_us, f64::from(s.latency_us) / 1e3));
        let failed = inner.failed_us.iter().map(|at_us| (*at_us, f64::INFINITY));
        for (at_us, latency_ms) in answered.chain(failed) {
            if let Some(second) = by_second.get_mut((at_us / 1_000_000) as usize) {
                second.push(latency_ms);
            }
        }
        by_second.into_iter().map(p99).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (0.99 * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let latency = Latency::of((1..=1000).map(|n| n * 1000).collect()).unwrap();
        let found = (latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms);
        assert_eq!(found, (500.0, 990.0, 999.0, 1000.0));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[test]
    fn a_second_is_judged_by_what_was_meant_to_be_sent_in_it() {
        let record = Record::default();
        record.answered(100, 2_000, "a");
        record.answered(1_500_000, 9_000, "b");
        record.failed(2_100_000, "closed");
        assert_eq!(record.p99_by_second(4), [2.0, 9.0, f64::INFINITY, 0.0]);
        assert_eq!(record.nodes(), ["a", "b"]);
    }
}
