//! One node's load, from what the ingress counted and what the node says of itself.

use std::time::Duration;

use foreshift_wire::{NodeReport, Signals};

use crate::{Error, LatencySummary};

/// Turns a node's reports into its signals.
///
/// What the ingress can see it measures; CPU, memory and utilisation only the node can tell, so they are taken from its
/// own reports as long as these are fresh. Nothing is smoothed here: that is the forecaster's.
#[derive(Debug, Clone)]
pub struct NodeLoad {
    stale_after_ms: u64,
    cpu: Option<Reported>,
    memory: Option<Reported>,
    utilisation: Option<Reported>,
}

#[derive(Debug, Clone, Copy)]
struct Reported {
    value: f64,
    at_ms: u64,
}

impl NodeLoad {
    /// Shorter intervals make no rates: a handful of requests over a millisecond says nothing.
    const INTERVAL_MIN: Duration = Duration::from_millis(10);

    /// Of a node whose own reports count for `stale_after`.
    pub fn new(stale_after: Duration) -> Self {
        Self {
            stale_after_ms: u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX),
            cpu: None,
            memory: None,
            utilisation: None,
        }
    }

    /// Takes what the node said of itself at `now_ms`: CPU, memory and utilisation. Values that are negative or not
    /// finite are left out, and so is what the ingress measures better.
    pub fn reported(&mut self, now_ms: u64, signals: &Signals) {
        for (known, said) in [
            (&mut self.cpu, signals.cpu),
            (&mut self.memory, signals.memory),
            (&mut self.utilisation, signals.utilisation),
        ] {
            if let Some(value) = said.filter(|value| value.is_finite() && *value >= 0.0) {
                *known = Some(Reported { value, at_ms: now_ms });
            }
        }
    }

    /// The node's signals over the last interval.
    ///
    /// `interval` is the time that `report` covers, measured by a clock that does not jump. Under 10 ms there are no rates;
    /// response times are absent where nothing was answered. [`Error::Bucket`] where the report's histogram is not one of
    /// ours.
    pub fn observe(&self, now_ms: u64, interval: Duration, report: &NodeReport) -> Result<Signals, Error> {
        let response = LatencySummary::of(&report.response)?;
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

    /// The node's signals where the ingress has no report of it: only what it said of itself.
    pub fn unseen(&self, now_ms: u64) -> Signals {
        // A clock that was set back makes a report stale just as one that went on.
        let fresh = |r: &Reported| now_ms.abs_diff(r.at_ms) <= self.stale_after_ms;
        let value = |known: Option<Reported>| known.filter(fresh).map(|r| r.value);
        Signals {
            cpu: value(self.cpu),
            memory: value(self.memory),
            utilisation: value(self.utilisation),
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

    fn observe(load: &NodeLoad, now_ms: u64, interval_ms: u64, report: &NodeReport) -> Signals {
        let interval = Duration::from_millis(interval_ms);
        load.observe(now_ms, interval, report).unwrap()
    }

    #[test]
    fn counts_become_rates_over_the_interval_that_was_measured() {
        let load = NodeLoad::new(Duration::from_secs(5));
        let mut response = Latency::new();
        (1..=100).for_each(|ms| response.record_us(ms * 1000));
        let signals = observe(&load, NOW, 500, &report(response.take()));
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
        let load = NodeLoad::new(Duration::from_secs(5));
        for interval_ms in [0, 9] {
            let signals = observe(&load, NOW, interval_ms, &report(LatencyBuckets::default()));
            assert_eq!(signals.requests_per_s, None);
            assert_eq!(signals.in_flight, Some(9.0));
            assert_eq!(signals.response_ms_p99, None);
        }
    }

    #[test]
    fn what_the_node_says_of_itself_counts_until_it_is_stale_each_value_for_itself() {
        let mut load = NodeLoad::new(Duration::from_secs(5));
        let said = |cpu, memory| Signals {
            cpu,
            memory,
            requests_per_s: Some(1e9),
            ..Signals::default()
        };
        load.reported(NOW, &said(Some(0.5), Some(0.25)));
        load.reported(NOW + 3_000, &said(Some(0.75), None));
        load.reported(NOW + 3_000, &said(Some(f64::NAN), Some(-1.0)));
        for (now_ms, cpu, memory) in [
            (NOW + 4_000, Some(0.75), Some(0.25)),
            (NOW + 6_000, Some(0.75), None),
            (NOW + 9_000, None, None),
            (NOW - 100_000, None, None),
        ] {
            let signals = observe(&load, now_ms, 1_000, &report(LatencyBuckets::default()));
            assert_eq!((signals.cpu, signals.memory), (cpu, memory), "{now_ms}");
            assert_eq!(signals.requests_per_s, Some(100.0), "measured, not told");
            assert_eq!(load.unseen(now_ms).cpu, cpu);
        }
    }

    #[test]
    fn a_strange_histogram_is_refused() {
        let load = NodeLoad::new(Duration::from_secs(5));
        let strange = report(LatencyBuckets(vec![(u32::MAX, 1)]));
        let interval = Duration::from_secs(1);
        assert!(load.observe(NOW, interval, &strange).is_err());
    }
}
