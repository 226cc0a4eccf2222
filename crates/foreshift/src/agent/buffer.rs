//! Samples that control does not have yet, numbered.

use std::{collections::VecDeque, time::Instant};

use foreshift_wire::{AgentReport, AgentSample};

/// Samples kept at most: half an hour of one every 2 s. Then the oldest are dropped.
const KEPT_MAX: usize = 900;

/// Samples in the order of their numbers, and when they were taken.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    samples: VecDeque<(AgentSample, Instant)>,
    last_seq: u64,
}

impl Buffer {
    /// Numbers and keeps a sample.
    pub(super) fn push(&mut self, sample: AgentSample, now: Instant) {
        self.last_seq += 1;
        let seq = self.last_seq;
        self.samples.push_back((AgentSample { seq, ..sample }, now));
        if self.samples.len() > KEPT_MAX {
            self.samples.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The oldest samples, as many as one report holds, with their ages.
    pub(super) fn oldest(&self, now: Instant) -> Vec<AgentSample> {
        let aged = |(sample, at): &(AgentSample, Instant)| AgentSample {
            age_ms: u64::try_from(now.saturating_duration_since(*at).as_millis()).unwrap_or(u64::MAX),
            ..*sample
        };
        self.samples
            .iter()
            .take(AgentReport::SAMPLES_MAX)
            .map(aged)
            .collect()
    }

    /// Drops what has arrived.
    pub(super) fn forget(&mut self, newest_seq: u64) {
        while self
            .samples
            .front()
            .is_some_and(|(sample, _)| sample.seq <= newest_seq)
        {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_are_kept_until_they_arrived_and_grow_old_meanwhile() {
        let (mut buffer, start) = (Buffer::default(), Instant::now());
        for n in 0..200 {
            buffer.push(AgentSample::default(), start + Duration::from_secs(n));
        }
        let now = start + Duration::from_secs(200);
        let first = buffer.oldest(now);
        assert_eq!(first.len(), AgentReport::SAMPLES_MAX);
        assert_eq!((first[0].seq, first[0].age_ms), (1, 200_000));
        buffer.forget(128);
        let rest = buffer.oldest(now);
        assert_eq!((rest.len(), rest[0].seq, rest[71].seq), (72, 129, 200));
        buffer.forget(200);
        assert!(buffer.is_empty());
        buffer.push(AgentSample::default(), now);
        assert_eq!(buffer.oldest(now)[0].seq, 201, "numbers go on");
    }

    #[test]
    fn the_oldest_are_dropped_where_nobody_takes_them() {
        let (mut buffer, now) = (Buffer::default(), Instant::now());
        (0..KEPT_MAX + 10).for_each(|_| buffer.push(AgentSample::default(), now));
        assert_eq!((buffer.samples.len(), buffer.oldest(now)[0].seq), (KEPT_MAX, 11));
    }
}
