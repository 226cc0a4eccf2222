//! A node's signals over time.

use foreshift_wire::Signals;

use crate::Series;

macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident => $name:ident,)*) => {
        /// What can be followed of a node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            /// The load score, 0 to 100 and above.
            LoadScore,
            $($(#[$doc])* $metric,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[Self::LoadScore, $(Self::$metric,)*];

            /// The name that the API uses.
            pub fn name(self) -> &'static str {
                match self {
                    Self::LoadScore => "load_score",
                    $(Self::$metric => stringify!($name),)*
                }
            }

            fn of(self, signals: &Signals, load_score: Option<f64>) -> Option<f64> {
                match self {
                    Self::LoadScore => load_score,
                    $(Self::$metric => signals.$name,)*
                }
            }
        }
    };
}

metrics! {
    /// Share of the CPU.
    Cpu => cpu,
    /// Share of the memory.
    Memory => memory,
    /// The application's own figure.
    Utilisation => utilisation,
    /// Requests per second.
    RequestsPerS => requests_per_s,
    /// Mean response time, in milliseconds.
    ResponseMsMean => response_ms_mean,
    /// Median response time, in milliseconds.
    ResponseMsP50 => response_ms_p50,
    /// 99th percentile of the response time, in milliseconds.
    ResponseMsP99 => response_ms_p99,
    /// Open client connections.
    Connections => connections,
    /// Requests in flight.
    InFlight => in_flight,
    /// Failed requests per second.
    ErrorsPerS => errors_per_s,
    /// Bytes per second.
    BytesPerS => bytes_per_s,
}

/// Every metric of a node as a [`Series`]. Those that are never measured take no memory.
#[derive(Debug, Clone, Default)]
pub struct NodeSeries {
    series: [Option<Box<Series>>; Metric::ALL.len()],
}

impl NodeSeries {
    /// Records what was measured.
    pub fn record(&mut self, now_ms: u64, signals: &Signals, load_score: Option<f64>) {
        for (metric, series) in Metric::ALL.iter().zip(&mut self.series) {
            if let Some(value) = metric.of(signals, load_score) {
                series.get_or_insert_default().record(now_ms, value);
            }
        }
    }

    /// One metric; `None` where it was never measured.
    pub fn get(&self, metric: Metric) -> Option<&Series> {
        self.series[metric as usize].as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_recorded_under_its_own_name_and_what_is_not_measured_stays_absent() {
        let mut node = NodeSeries::default();
        let signals = Signals {
            in_flight: Some(7.0),
            cpu: Some(0.5),
            ..Signals::default()
        };
        node.record(5_000, &signals, Some(70.0));
        for metric in Metric::ALL {
            let newest = node.get(*metric).and_then(|s| s.newest(0)).map(|p| p.sum);
            let expected = match metric.name() {
                "in_flight" => Some(7.0),
                "cpu" => Some(0.5),
                "load_score" => Some(70.0),
                _ => None,
            };
            assert_eq!(newest, expected, "{}", metric.name());
        }
    }
}
