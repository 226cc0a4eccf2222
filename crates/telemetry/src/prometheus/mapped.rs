//! From the sums of page after page to one signal.

use std::time::Duration;

use foreshift_wire::{MetricMapping, MetricSelector};

use super::{Found, Kind};
use crate::figure::{FigureError, SHARE_MAX, figure};

/// Why a page gave no value for a signal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The page has no such series.
    #[error("{signal}: the page has no {metric}")]
    Missing {
        /// The signal.
        signal: &'static str,
        /// What was looked for.
        metric: String,
    },
    /// The divisor did not rise, or is 0.
    #[error("{signal}: {metric} is 0, so nothing can be divided by it")]
    Zero {
        /// The signal.
        signal: &'static str,
        /// The divisor.
        metric: String,
    },
    /// What came out is no load.
    #[error(transparent)]
    Figure(#[from] FigureError),
}

/// One signal of one node: its mapping, and for counters what the last page had.
#[derive(Debug, Clone)]
pub struct Mapped {
    signal: &'static str,
    mapping: MetricMapping,
    last: Option<(Duration, f64, f64)>,
}

/// How far below 0 rounding may bring a share that is 0.
const ROUNDING: f64 = 1e-6;

impl Mapped {
    /// `signal` is the name for errors.
    pub fn new(signal: &'static str, mapping: MetricMapping) -> Self {
        Self {
            signal,
            mapping,
            last: None,
        }
    }

    /// What has to be found in a page for it: the metric, and the divisor where there is one.
    pub fn selectors(&self) -> impl Iterator<Item = &MetricSelector> {
        std::iter::once(&self.mapping.metric).chain(&self.mapping.over)
    }

    /// Takes what was found, in the order of [`Self::selectors`], `at` by a clock that only goes forward.
    ///
    /// `None` where a counter has no earlier value to be held against, as after the first page or when it began anew.
    pub fn on(&mut self, at: Duration, found: &[Found]) -> Result<Option<f64>, MappingError> {
        let mapping = &self.mapping;
        for (selector, found) in self.selectors().zip(found) {
            if found.series == 0 {
                return Err(MappingError::Missing {
                    signal: self.signal,
                    metric: selector.to_string(),
                });
            }
        }
        let sum = |n: usize| found.get(n).map_or(1.0, |found| found.sum);
        let (mut value, mut over) = (sum(0), sum(1));
        if is_counter(mapping, found.first()) {
            let divided = mapping.over.is_some();
            let Some((before, value_then, over_then)) = self.last.replace((at, value, over)) else {
                return Ok(None);
            };
            let passed = at.saturating_sub(before).as_secs_f64();
            let began_anew = value < value_then || (divided && over < over_then);
            if passed <= 0.0 || began_anew {
                return Ok(None);
            }
            value = (value - value_then) / passed;
            over = if divided { (over - over_then) / passed } else { 1.0 };
        }
        if over == 0.0 {
            return Err(MappingError::Zero {
                signal: self.signal,
                metric: mapping.over.as_ref().map(ToString::to_string).unwrap_or_default(),
            });
        }
        value = value / over * mapping.scale;
        if mapping.invert {
            value = 1.0 - value;
        }
        if (-ROUNDING..0.0).contains(&value) {
            value = 0.0;
        }
        Ok(Some(figure(self.signal, value, SHARE_MAX)?))
    }
}

fn is_counter(mapping: &MetricMapping, found: Option<&Found>) -> bool {
    let typed = found.and_then(|found| found.kind);
    mapping.rate.unwrap_or_else(|| match typed {
        Some(kind) => kind == Kind::Counter,
        None => mapping.metric.name.ends_with("_total"),
    })
}
