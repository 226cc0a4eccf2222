//! A node's signals over time.

use foreshift_wire::{Resolution, SeriesMetric, Signals};

use crate::{Point, Series};

/// Every [`SeriesMetric`] of a node as a [`Series`]. Those that are never measured take no memory.
#[derive(Debug, Clone, Default)]
pub struct NodeSeries {
    series: [Option<Box<Series>>; SeriesMetric::ALL.len()],
}

impl NodeSeries {
    /// Records what was measured.
    pub fn record(&mut self, now_ms: u64, signals: &Signals, load_score: Option<f64>) {
        for (metric, series) in SeriesMetric::ALL.into_iter().zip(&mut self.series) {
            if let Some(value) = value(metric, signals, load_score) {
                series.get_or_insert_default().record(now_ms, value);
            }
        }
    }

    /// Fills in what a node says that it measured `age_ms` before `now_ms`, where nobody knew it then.
    pub fn record_late(&mut self, now_ms: u64, age_ms: u64, cpu: Option<f64>, memory: Option<f64>) {
        for (metric, value) in [(SeriesMetric::Cpu, cpu), (SeriesMetric::Memory, memory)] {
            if let Some(value) = value {
                let series = self.series[metric as usize].get_or_insert_default();
                series.record_late(now_ms, now_ms.saturating_sub(age_ms), value);
            }
        }
    }

    /// The points of one metric, oldest first, as far back from `now_ms` as the resolution is kept.
    ///
    /// What is older is left out here too, because a metric that is no longer measured does not drop it.
    pub fn points(
        &self,
        metric: SeriesMetric,
        resolution: Resolution,
        now_ms: u64,
    ) -> impl Iterator<Item = Point> + '_ {
        let step_ms = resolution.step_ms();
        let kept = Series::LEVELS
            .iter()
            .enumerate()
            .find(|(_, level)| level.step_ms == step_ms);
        let series = self.series[metric as usize].as_deref();
        series
            .zip(kept)
            .into_iter()
            .flat_map(move |(series, (index, level))| {
                let newest_ms = now_ms - now_ms % step_ms;
                let reach_ms = step_ms * u64::from(level.keep.saturating_sub(1));
                series.since(index, newest_ms.saturating_sub(reach_ms))
            })
    }
}

fn value(metric: SeriesMetric, signals: &Signals, load_score: Option<f64>) -> Option<f64> {
    match metric {
        SeriesMetric::LoadScore => load_score,
        SeriesMetric::RequestsPerS => signals.requests_per_s,
        SeriesMetric::ResponseMsP99 => signals.response_ms_p99,
        SeriesMetric::Connections => signals.connections,
        SeriesMetric::InFlight => signals.in_flight,
        SeriesMetric::Cpu => signals.cpu,
        SeriesMetric::Memory => signals.memory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const RESOLUTIONS: [Resolution; 3] = [Resolution::Second, Resolution::FiveSeconds, Resolution::Minute];

    #[test]
    fn each_metric_is_recorded_as_itself_at_every_resolution_and_what_is_not_measured_stays_absent() {
        let mut node = NodeSeries::default();
        let signals = Signals {
            requests_per_s: Some(1.0),
            response_ms_p99: Some(2.0),
            connections: Some(3.0),
            ..Signals::default()
        };
        node.record(NOW, &signals, Some(70.0));
        for resolution in RESOLUTIONS {
            for (metric, value) in
                SeriesMetric::ALL
                    .into_iter()
                    .zip([Some(70.0), Some(1.0), Some(2.0), Some(3.0), None])
            {
                let points: Vec<_> = node.points(metric, resolution, NOW).map(|p| p.sum).collect();
                assert_eq!(points, Vec::from_iter(value), "{metric:?} {resolution:?}");
            }
        }
        assert!(node.series[SeriesMetric::InFlight as usize].is_none());
    }

    #[test]
    fn what_is_older_than_it_is_kept_is_not_shown_though_nothing_came_after_it() {
        let mut node = NodeSeries::default();
        node.record(NOW, &Signals::default(), Some(70.0));
        for (resolution, kept_ms) in RESOLUTIONS.into_iter().zip([600_000, 3_600_000, 86_400_000]) {
            let step_ms = resolution.step_ms();
            let end_ms = NOW - NOW % step_ms + kept_ms;
            let shown = |now_ms| node.points(SeriesMetric::LoadScore, resolution, now_ms).count();
            assert_eq!((shown(end_ms - 1), shown(end_ms)), (1, 0), "{resolution:?}");
        }
    }
}
