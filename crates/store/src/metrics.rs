//! What operations did: how many, of which partitions, with what result, and how long they took.
//!
//! Counters that many threads add to without waiting for each other. Their number is fixed by the configuration: partitions count by
//! the declaration that they match, and all others together; no name and no id that a client chose becomes one.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use foreshift_wire::{PartitionName, PartitionPattern, Session};

use crate::{Error, Refusal};

/// Upper bounds of the latencies' buckets, in microseconds.
const BOUNDS_US: [u64; 12] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000, 5_000_000,
];
const RESULTS: [&str; 10] = [
    "ok",
    "not_found",
    "revoked",
    "fenced",
    "conflict",
    "forbidden",
    "too_large",
    "invalid",
    "unavailable",
    "damaged",
];

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
}

impl Operation {
    const ALL: [(Self, &'static str); 2] = [(Self::Read, "read"), (Self::Write, "write")];
}

/// How often an operation had a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationCount {
    /// `read` or `write`.
    pub operation: &'static str,
    /// The declaration that the partition matches, as `game/*`; `undeclared`.
    pub partition: String,
    /// `ok`, or why not.
    pub result: &'static str,
    /// How often since the start.
    pub count: u64,
}

/// How long an operation took.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationTimes {
    /// `read` or `write`.
    pub operation: &'static str,
    /// How many took at most so many seconds; `None` is all.
    pub cumulative: Vec<(Option<f64>, u64)>,
    /// Seconds together.
    pub sum_s: f64,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    declared: Vec<PartitionPattern>,
    /// By operation, declaration (the last is none) and result.
    counts: Vec<AtomicU64>,
    times: [Times; Operation::ALL.len()],
}

#[derive(Debug, Default)]
struct Times {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(config: &Session) -> Self {
        let mut declared: Vec<PartitionPattern> = Vec::new();
        for partition in &config.partition {
            if !declared.contains(&partition.name) {
                declared.push(partition.name.clone());
            }
        }
        let counters = Operation::ALL.len() * (declared.len() + 1) * RESULTS.len();
        Self {
            declared,
            counts: (0..counters).map(|_| AtomicU64::new(0)).collect(),
            times: Default::default(),
        }
    }

    /// Counts one.
    pub(crate) fn count<T>(
        &self,
        operation: Operation,
        partition: &PartitionName,
        took: Duration,
        result: &Result<T, Error>,
    ) {
        let mut declared = self.declared.iter();
        let class = declared.position(|pattern| pattern.matches(partition));
        let class = class.unwrap_or(self.declared.len());
        let result = result.as_ref().err().map_or(0, index_of);
        self.counts[self.place(operation as usize, class) + result].fetch_add(1, Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let times = &self.times[operation as usize];
        let bucket = BOUNDS_US.iter().position(|bound| took_us <= *bound);
        times.buckets[bucket.unwrap_or(BOUNDS_US.len())].fetch_add(1, Relaxed);
        times.sum_us.fetch_add(took_us, Relaxed);
    }

    fn place(&self, operation: usize, class: usize) -> usize {
        (operation * (self.declared.len() + 1) + class) * RESULTS.len()
    }

    /// What was counted, without what never happened.
    pub(crate) fn counts(&self) -> Vec<OperationCount> {
        let mut counts = Vec::new();
        for (operation, name) in Operation::ALL {
            for class in 0..=self.declared.len() {
                let partition = self
                    .declared
                    .get(class)
                    .map_or("undeclared", PartitionPattern::as_str);
                let from = self.place(operation as usize, class);
                for (result, count) in RESULTS.into_iter().zip(&self.counts[from..]) {
                    let count = count.load(Relaxed);
                    if count > 0 {
                        counts.push(OperationCount {
                            operation: name,
                            partition: partition.to_owned(),
                            result,
                            count,
                        });
                    }
                }
            }
        }
        counts
    }

    /// How long operations took.
    pub(crate) fn times(&self) -> Vec<OperationTimes> {
        let of = |(operation, name): (Operation, &'static str)| {
            let times = &self.times[operation as usize];
            let bounds = BOUNDS_US.iter().map(|us| Some(*us as f64 / 1e6)).chain([None]);
            let mut sum = 0;
            let cumulative = bounds.zip(&times.buckets).map(|(bound, bucket)| {
                sum += bucket.load(Relaxed);
                (bound, sum)
            });
            OperationTimes {
                operation: name,
                cumulative: cumulative.collect(),
                sum_s: times.sum_us.load(Relaxed) as f64 / 1e6,
            }
        };
        Operation::ALL.into_iter().map(of).collect()
    }
}

/// Which of [`RESULTS`].
fn index_of(error: &Error) -> usize {
    match error {
        Error::Refused(Refusal::NoSession | Refusal::NotFound(_)) => 1,
        Error::Refused(Refusal::Revoked) => 2,
        Error::Refused(Refusal::Fenced { .. }) => 3,
        Error::Refused(Refusal::Conflict { .. }) => 4,
        Error::Refused(Refusal::Forbidden { .. } | Refusal::Undeclared(_)) => 5,
        Error::Refused(Refusal::TooLarge { .. }) => 6,
        Error::Refused(_) => 7,
        Error::Unavailable { .. } => 8,
        Error::Damaged(_) | Error::File { .. } => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_count_by_their_declaration_and_results_by_their_name() {
        let config = foreshift_wire::Config::parse(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
             [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n\
             [[session.partition]]\nname = \"game/*\"\n[[session.partition]]\nname = \"cart\"\n",
        );
        let metrics = Metrics::new(&config.unwrap().session.unwrap());
        let name = |text| PartitionName::new(text).unwrap();
        let refused = |refusal: Refusal| Err::<(), _>(Error::from(refusal));
        let ms = Duration::from_millis;
        metrics.count(Operation::Read, &name("game/map"), ms(1), &Ok(()));
        metrics.count(Operation::Read, &name("game/inventory"), ms(3), &Ok(()));
        metrics.count(
            Operation::Write,
            &name("else"),
            ms(9_999),
            &refused(Refusal::Revoked),
        );
        let said: Vec<_> = metrics
            .counts()
            .into_iter()
            .map(|c| (c.operation, c.partition, c.result, c.count))
            .collect();
        assert_eq!(
            said,
            [
                ("read", "game/*".to_owned(), "ok", 2),
                ("write", "undeclared".to_owned(), "revoked", 1)
            ]
        );
        let times = metrics.times();
        assert_eq!(times[0].cumulative[4], (Some(0.001), 1));
        assert_eq!(times[0].cumulative[6], (Some(0.005), 2));
        assert_eq!(times[1].cumulative[11], (Some(5.0), 0));
        assert_eq!(times[1].cumulative[12], (None, 1));
        assert!((times[0].sum_s - 0.004).abs() < 1e-9);
    }
}
