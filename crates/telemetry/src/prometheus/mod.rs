//! The Prometheus text exposition, as far as it takes to find chosen series and make signals of them.
//!
//! [`find`] adds up the series of a page that a [`MetricSelector`] chooses; [`Mapped`] turns such sums, round after round, into a
//! signal: a gauge as it is, a counter as the speed at which it rises. The older text format and OpenMetrics are both read,
//! as one page may hold traits of either: time stamps, exemplars, `# EOF`, names in quotes.
//!
//! A parser of our own, as the ones to be had build the whole page in memory with all its labels; here a page is gone through
//! once and only sums are kept. Fetching the page is control's.

mod mapped;
mod text;

use std::borrow::Cow;

use foreshift_wire::MetricSelector;

pub use mapped::{Mapped, MappingError};
pub use text::{Kind, Labels, Line, PageError, parse_line};

/// What a page holds for one selector.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Found {
    /// The sum of the series; NaN where one of them is.
    pub sum: f64,
    /// How many there are.
    pub series: usize,
    /// The page says that they are counters.
    pub kind: Option<Kind>,
}

/// Goes through a page once and adds up what each selector chooses, in their order.
///
/// [`PageError`] names the line that is not of the format; nothing is taken from such a page.
pub fn find(page: &str, selectors: &[&MetricSelector]) -> Result<Vec<Found>, PageError> {
    let mut found = vec![Found::default(); selectors.len()];
    for (number, line) in page.lines().enumerate() {
        match parse_line(line).map_err(|what| what.at(number + 1))? {
            Line::Nothing => {}
            Line::Type { name, kind } => {
                for (found, selector) in found.iter_mut().zip(selectors) {
                    // OpenMetrics names a counter without the ending of its series.
                    let named = selector.name.as_str();
                    if named == name || named.strip_suffix("_total") == Some(name) {
                        found.kind = Some(kind);
                    }
                }
            }
            Line::Sample { name, labels, value } => {
                for (found, selector) in found.iter_mut().zip(selectors) {
                    if name == selector.name && chosen(selector, labels) {
                        found.sum += value;
                        found.series += 1;
                    }
                }
            }
        }
    }
    Ok(found)
}

fn chosen(selector: &MetricSelector, labels: Labels<'_>) -> bool {
    selector.matchers.iter().all(|matcher| {
        let value = labels.get(&matcher.label).unwrap_or(Cow::Borrowed(""));
        matcher.matches(&value)
    })
}
