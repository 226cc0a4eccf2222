//! One node's load, from what the ingress counted and what the node says of itself.

use std::time::Duration;

use foreshift_wire::{InBandReport, NodeReport, OwnLoad, Signals, SourceKind};

use crate::{Error, LatencyGuard, LatencySummary, Said, Sources};

/// Turns a node's reports into its signals.
///
/// What the ingress can see it measures; CPU, memory and utilisation only the node can tell, so they are taken from its
/// own [`Sources`] as long as these are fresh. Nothing is smoothed here: that is the forecaster's.
#[derive(Debug, Clone, Default)]
pub struct NodeLoad {
    sources: Sources,
    guard: LatencyGuard,
}

impl NodeLoad {
    /// Shorter intervals make no rates: a handful of requests over a millisecond says nothing.
    const INTERVAL_MIN: Duration = Duration::from_millis(10);
    /// How long counts what a node says without having been asked.
    pub const TOLD_COUNTS_FOR: Duration = Duration::from_secs(10);

    /// Of a node that has said nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the node says of itself, by source.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// To take in what it says.
    pub fn sources_mut(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// The load score that the node's response time shows, held against what is usual for it; see [`LatencyGuard`].
    pub fn latency_score(&self) -> Option<f64> {
        self.guard.score()
    }

    /// The node's signals over the last interval.
    ///
    /// `interval` is the time that `report` covers, measured by a clock that does not jump. Under 10 ms there are no rates;
    /// response times are absent where nothing was answered. [`Error::Bucket`] where the report's histogram is not one of
    /// ours.
    pub fn observe(
        &mut self,
        now_ms: u64,
        interval: Duration,
        report: &NodeReport,
    ) -> Result<Signals, Error> {
        if let Some(heard) = &report.in_band {
            self.in_band(now_ms, heard);
        }
        let response = LatencySummary::of(&report.response)?;
        match &response {
            Some(response) => self.guard.observe(interval, response.p50_ms, report.requests),
            None => self.guard.idle(),
        }
        let seconds = (interval >= Self::INTERVAL_MIN).then_some(interval.as_secs_f64());
        let per_s = |count: u64| seconds.map(|s| count as f64 / s);
        Ok(Signals {
            requests_per_s: per_s(report.requests),
            response_ms_mean: response.map(|r| r.mean_ms),
            response_ms_p50: response.map(|r| r.p50_ms),
            response_ms_p99: response.map(|r| r.p99_ms),
            connections: Some(f64::from(report.connections)),
            // Little's law; the gauge where the interval is too short for a mean.
            in_flight: per_s(report.busy_us)
                .map(|us| us / 1e6)
                .or(Some(f64::from(report.in_flight))),
            errors_per_s: per_s(report.errors),
            bytes_per_s: per_s(report.bytes),
            ..self.unseen(now_ms)
        })
    }

    fn in_band(&mut self, now_ms: u64, heard: &InBandReport) {
        let kind = SourceKind::OrcaInBand;
        if heard.refused > 0 {
            let error = heard.error.as_deref().unwrap_or("a report was refused");
            self.sources
                .failed(kind, Self::TOLD_COUNTS_FOR, heard.refused, error);
        }
        if heard.reports > 0 {
            let said = Said {
                age: Duration::from_micros(heard.age_us),
                reports: heard.reports,
                ..Said::now(kind, Self::TOLD_COUNTS_FOR, heard.load)
            };
            self.sources.heard(now_ms, &said);
        }
    }

    /// The node's signals where the ingress has no report of it: only what it said of itself.
    pub fn unseen(&self, now_ms: u64) -> Signals {
        let OwnLoad {
            cpu,
            memory,
            utilisation,
        } = self.sources.load(now_ms);
        Signals {
            cpu,
            memory,
            utilisation,
            ..Signals::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{LatencyBuckets, NodeId};

    use super::*;
    use crate::Latency;

    const NOW: u64 = 1_700_000_000_000;

    fn report(response: LatencyBuckets) -> NodeReport {
        NodeReport {
            node: NodeId::new("a").unwrap(),
            requests: 100,
            errors: 5,
            bytes: 1_000,
            busy_us: 1_500_000,
            in_flight: 9,
            connections: 40,
            response,
            in_band: None,
            resilience: Default::default(),
        }
    }

    fn observe(load: &mut NodeLoad, now_ms: u64, interval_ms: u64, report: &NodeReport) -> Signals {
        let interval = Duration::from_millis(interval_ms);
        load.observe(now_ms, interval, report).unwrap()
    }

    #[test]
    fn counts_become_rates_over_the_interval_that_was_measured() {
        let mut load = NodeLoad::new();
        let mut response = Latency::new();
        (1..=100).for_each(|ms| response.record_us(ms * 1000));
        let signals = observe(&mut load, NOW, 500, &report(response.take()));
        assert_eq!(signals.requests_per_s, Some(200.0));
        assert_eq!(signals.errors_per_s, Some(10.0));
        assert_eq!(signals.bytes_per_s, Some(2_000.0));
        assert_eq!(signals.in_flight, Some(3.0), "1.5 s of work in half a second");
        assert_eq!(signals.connections, Some(40.0));
        for (found, exact) in [
            (signals.response_ms_p50, 50.0),
            (signals.response_ms_p99, 99.0),
            (signals.response_ms_mean, 50.5),
        ] {
            let found = found.unwrap();
            assert!((found / exact - 1.0).abs() < 0.035, "{found} for {exact}");
        }
        assert_eq!(
            (signals.cpu, signals.memory, signals.utilisation),
            (None, None, None)
        );
    }

    #[test]
    fn an_interval_of_nothing_has_gauges_but_no_rates() {
        let mut load = NodeLoad::new();
        for interval_ms in [0, 9] {
            let signals = observe(&mut load, NOW, interval_ms, &report(LatencyBuckets::default()));
            assert_eq!(signals.requests_per_s, None);
            assert_eq!(signals.in_flight, Some(9.0));
            assert_eq!(signals.response_ms_p99, None);
        }
    }

    #[test]
    fn what_the_node_says_in_its_answers_counts_until_it_is_stale() {
        let mut load = NodeLoad::new();
        let in_band = InBandReport {
            load: OwnLoad {
                cpu: Some(0.75),
                ..OwnLoad::default()
            },
            age_us: 400_000,
            reports: 30,
            refused: 2,
            error: Some("cpu: NaN is no number".into()),
        };
        let reported = NodeReport {
            in_band: Some(in_band),
            ..report(LatencyBuckets::default())
        };
        let signals = observe(&mut load, NOW, 1_000, &reported);
        assert_eq!((signals.cpu, signals.requests_per_s), (Some(0.75), Some(100.0)));
        let view = &load.sources().views(NOW)[0];
        assert_eq!((view.age_ms, view.reports, view.failures), (Some(400), 30, 2));
        for (after_ms, cpu) in [(9_600, Some(0.75)), (9_601, None)] {
            assert_eq!(load.unseen(NOW + after_ms).cpu, cpu, "after {after_ms} ms");
        }
    }

    #[test]
    fn a_node_that_grows_slow_shows_it_whatever_it_says_of_itself() {
        let mut load = NodeLoad::new();
        let idle = OwnLoad {
            cpu: Some(0.01),
            ..OwnLoad::default()
        };
        let mut second = |after_s: u64, ms: u64| {
            let now_ms = NOW + after_s * 1_000;
            let mut response = Latency::new();
            (0..100).for_each(|_| response.record_us(ms * 1_000));
            let said = Said::now(SourceKind::Agent, NodeLoad::TOLD_COUNTS_FOR, idle);
            load.sources_mut().heard(now_ms, &said);
            let signals = observe(&mut load, now_ms, 1_000, &report(response.take()));
            assert_eq!(signals.cpu, Some(0.01));
            load.latency_score()
        };
        for after_s in 0..120 {
            let usual = second(after_s, 10);
            assert!(usual.is_none_or(|score| (score - 20.0).abs() < 1.0), "{usual:?}");
        }
        let slow = second(120, 60).unwrap();
        assert!(slow > 100.0, "{slow}");
    }

    #[test]
    fn a_strange_histogram_is_refused() {
        let mut load = NodeLoad::new();
        let strange = report(LatencyBuckets(vec![(u32::MAX, 1)]));
        let interval = Duration::from_secs(1);
        assert!(load.observe(NOW, interval, &strange).is_err());
    }
}
