//! One figure for how full a node is.
//!
//! The load score is the highest of the node's signals, each divided by its capacity: a node is as full as its
//! scarcest resource, and averaging would hide exactly the one that fails first.

/// One node's measured signals. `None` is "not measured", never zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SignalValues {
    /// Share of the CPU in use, 0 to 1 and above.
    pub cpu: Option<f64>,
    /// Share of the memory in use, 0 to 1.
    pub memory: Option<f64>,
    /// The application's own figure for how full it is, 0 to 1.
    pub utilisation: Option<f64>,
    /// Requests in flight, mean over the interval.
    pub requests_in_flight: Option<f64>,
    /// Requests per second.
    pub requests_per_s: Option<f64>,
    /// 99th percentile of the response time, in milliseconds.
    pub response_ms_p99: Option<f64>,
    /// Open client connections.
    pub connections: Option<f64>,
    /// Bytes per second, both directions together.
    pub bytes_per_s: Option<f64>,
}

impl SignalValues {
    /// The values in the order of [`Signal::ALL`], as [`Forecaster::update_with`](crate::Forecaster::update_with) takes
    /// them.
    pub fn to_array(&self) -> [Option<f64>; 8] {
        [
            self.cpu,
            self.memory,
            self.utilisation,
            self.requests_in_flight,
            self.requests_per_s,
            self.response_ms_p99,
            self.connections,
            self.bytes_per_s,
        ]
    }
}

/// What a node can carry. A signal without a capacity does not count, except the shares (CPU, memory, utilisation),
/// whose capacity is 1 where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CapacityValues {
    /// Share of the CPU at which the node is full; 1 where absent.
    pub cpu: Option<f64>,
    /// Share of the memory at which the node is full; 1 where absent.
    pub memory: Option<f64>,
    /// Utilisation at which the node is full; 1 where absent.
    pub utilisation: Option<f64>,
    /// Requests that the node works on at once.
    pub requests_in_flight: Option<f64>,
    /// Requests per second.
    pub requests_per_s: Option<f64>,
    /// The p99 response time, in milliseconds, at which the node counts as fully loaded.
    pub response_ms_p99: Option<f64>,
    /// Open client connections.
    pub connections: Option<f64>,
    /// Bytes per second, both directions together.
    pub bytes_per_s: Option<f64>,
}

/// A signal that can make the load score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Share of the CPU.
    Cpu,
    /// Share of the memory.
    Memory,
    /// The application's own figure.
    Utilisation,
    /// Requests in flight against the concurrency limit.
    RequestsInFlight,
    /// Requests per second.
    RequestsPerS,
    /// p99 response time against the objective.
    ResponseMsP99,
    /// Open client connections.
    Connections,
    /// Bytes per second.
    BytesPerS,
}

impl Signal {
    /// All of them, in the order of [`SignalValues::to_array`].
    pub const ALL: [Self; 8] = [
        Self::Cpu,
        Self::Memory,
        Self::Utilisation,
        Self::RequestsInFlight,
        Self::RequestsPerS,
        Self::ResponseMsP99,
        Self::Connections,
        Self::BytesPerS,
    ];

    /// The name used in the API and in reasons, such as `requests_in_flight`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Utilisation => "utilisation",
            Self::RequestsInFlight => "requests_in_flight",
            Self::RequestsPerS => "requests_per_s",
            Self::ResponseMsP99 => "response_ms_p99",
            Self::Connections => "connections",
            Self::BytesPerS => "bytes_per_s",
        }
    }
}

/// How full a node is, and by which signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadScore {
    /// 0 to 100 within capacity, above 100 in overload.
    pub score: f64,
    /// The signal that made it: the highest; the first in the order of [`Signal`] among equals.
    pub signal: Signal,
}

/// The highest signal divided by its capacity, times 100.
///
/// Signals that are absent, not finite or negative, and capacities that are absent, not finite or not above zero, do
/// not count. `None` where none counts: a node about which nothing is known has no score, rather than 0.
pub fn load_score(signals: &SignalValues, capacity: &CapacityValues) -> Option<LoadScore> {
    let share = |given: Option<f64>| Some(given.unwrap_or(1.0));
    [
        (Signal::Cpu, signals.cpu, share(capacity.cpu)),
        (Signal::Memory, signals.memory, share(capacity.memory)),
        (
            Signal::Utilisation,
            signals.utilisation,
            share(capacity.utilisation),
        ),
        (
            Signal::RequestsInFlight,
            signals.requests_in_flight,
            capacity.requests_in_flight,
        ),
        (
            Signal::RequestsPerS,
            signals.requests_per_s,
            capacity.requests_per_s,
        ),
        (
            Signal::ResponseMsP99,
            signals.response_ms_p99,
            capacity.response_ms_p99,
        ),
        (Signal::Connections, signals.connections, capacity.connections),
        (Signal::BytesPerS, signals.bytes_per_s, capacity.bytes_per_s),
    ]
    .into_iter()
    .filter_map(|(signal, value, capacity)| {
        Some(LoadScore {
            score: percent(value?, capacity?)?,
            signal,
        })
    })
    .reduce(|best, next| if next.score > best.score { next } else { best })
}

fn percent(value: f64, capacity: f64) -> Option<f64> {
    let score = value / capacity * 100.0;
    (value >= 0.0 && capacity > 0.0 && capacity.is_finite() && score.is_finite()).then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_resource_makes_the_score() {
        let capacity = CapacityValues {
            requests_in_flight: Some(64.0),
            connections: Some(1_000.0),
            ..CapacityValues::default()
        };
        for (signals, expected) in [
            (
                SignalValues {
                    cpu: Some(0.3),
                    ..Default::default()
                },
                Some((30.0, Signal::Cpu)),
            ),
            (
                SignalValues {
                    cpu: Some(0.3),
                    requests_in_flight: Some(48.0),
                    ..Default::default()
                },
                Some((75.0, Signal::RequestsInFlight)),
            ),
            (
                SignalValues {
                    connections: Some(1_500.0),
                    memory: Some(0.9),
                    ..Default::default()
                },
                Some((150.0, Signal::Connections)),
            ),
            (
                SignalValues {
                    requests_per_s: Some(9e9),
                    ..Default::default()
                },
                None,
            ),
            (
                SignalValues {
                    cpu: Some(f64::NAN),
                    memory: Some(-1.0),
                    ..Default::default()
                },
                None,
            ),
            (SignalValues::default(), None),
        ] {
            let found = load_score(&signals, &capacity).map(|load| (load.score, load.signal));
            assert_eq!(found, expected, "{signals:?}");
        }
    }

    #[test]
    fn a_capacity_of_nothing_does_not_count_rather_than_divide_by_zero() {
        let signals = SignalValues {
            cpu: Some(0.5),
            connections: Some(3.0),
            ..Default::default()
        };
        for connections in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let capacity = CapacityValues {
                connections: Some(connections),
                ..Default::default()
            };
            assert_eq!(
                load_score(&signals, &capacity).unwrap().signal,
                Signal::Cpu,
                "{connections}"
            );
        }
    }

    #[test]
    fn the_array_of_values_is_in_the_order_of_all_signals() {
        let values = SignalValues {
            cpu: Some(0.0),
            memory: Some(1.0),
            utilisation: Some(2.0),
            requests_in_flight: Some(3.0),
            requests_per_s: Some(4.0),
            response_ms_p99: Some(5.0),
            connections: Some(6.0),
            bytes_per_s: Some(7.0),
        };
        for (i, (signal, value)) in Signal::ALL.into_iter().zip(values.to_array()).enumerate() {
            assert_eq!((signal as usize, value), (i, Some(i as f64)), "{signal:?}");
        }
    }
}
