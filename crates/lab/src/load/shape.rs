//! How load rises and falls: trapezoids, and recorded traces.

/// Why a trace cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// A line is not `seconds,requests_per_second`.
    #[error(
        "line {line}: {text:?} is not `seconds,requests_per_second`, two numbers of which neither is negative"
    )]
    Line {
        /// From 1.
        line: usize,
        /// What is there.
        text: String,
    },
    /// Times do not rise.
    #[error("line {line}: times must rise")]
    Order {
        /// From 1.
        line: usize,
    },
    /// Fewer than two points, or no load at all.
    #[error("a trace needs at least two points, and load in one of them")]
    Empty,
}

/// A recorded load over time: points joined by straight lines, begun again when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// `(seconds from the first point, requests per second)`, times rising from 0.
    points: Vec<(f64, f64)>,
}

impl Trace {
    /// Reads CSV: `seconds,requests_per_second` on each line. A first line without numbers is a heading; further
    /// columns are ignored.
    pub fn parse(csv: &str) -> Result<Self, TraceError> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (number, text) in csv
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty())
        {
            let line = number + 1;
            match point(text) {
                Some((time, _)) if points.last().is_some_and(|(last, _)| time <= *last) => {
                    return Err(TraceError::Order { line });
                }
                Some(point) => points.push(point),
                None if number == 0 => {}
                None => {
                    return Err(TraceError::Line {
                        line,
                        text: text.chars().take(100).collect(),
                    });
                }
            }
        }
        if points.len() < 2 || points.iter().all(|(_, rate)| *rate == 0.0) {
            return Err(TraceError::Empty);
        }
        let start = points[0].0;
        points.iter_mut().for_each(|(time, _)| *time -= start);
        Ok(Self { points })
    }

    /// Requests per second at a time, in seconds from the start.
    pub fn at(&self, seconds: f64) -> f64 {
        let (end, _) = self.points[self.points.len() - 1];
        let time = seconds.rem_euclid(end);
        let next = self
            .points
            .partition_point(|(t, _)| *t <= time)
            .clamp(1, self.points.len() - 1);
        let ((t0, r0), (t1, r1)) = (self.points[next - 1], self.points[next]);
        r0 + (r1 - r0) * ((time - t0) / (t1 - t0)).clamp(0.0, 1.0)
    }

    /// Its highest rate within the first seconds.
    pub fn peak(&self, seconds: f64) -> f64 {
        let within = self.points.iter().filter(|(time, _)| *time <= seconds);
        within.map(|(_, rate)| *rate).fold(f64::MIN_POSITIVE, f64::max)
    }
}

fn point(text: &str) -> Option<(f64, f64)> {
    let mut numbers = text.split(',').map(|field| field.trim().parse::<f64>().ok());
    let (time, rate) = (numbers.next()??, numbers.next()??);
    (time.is_finite() && rate.is_finite() && rate >= 0.0).then_some((time, rate))
}

/// 0 before, rising to 1, 1 for a while, falling to 0. Seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trapezoid {
    pub start: f64,
    pub ramp: f64,
    pub hold: f64,
    pub fall: f64,
}

impl Trapezoid {
    pub(super) fn at(self, seconds: f64) -> f64 {
        let since = seconds - self.start;
        let until = self.ramp + self.hold + self.fall - since;
        (since / self.ramp).min(until / self.fall).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trapezoid_rises_holds_and_falls() {
        let shape = Trapezoid {
            start: 10.0,
            ramp: 4.0,
            hold: 6.0,
            fall: 2.0,
        };
        for (time, height) in [
            (0.0, 0.0),
            (10.0, 0.0),
            (12.0, 0.5),
            (14.0, 1.0),
            (20.0, 1.0),
            (21.0, 0.5),
            (22.0, 0.0),
            (90.0, 0.0),
        ] {
            assert_eq!(shape.at(time), height, "{time}");
        }
    }

    #[test]
    fn a_trace_is_interpolated_and_begins_again() {
        let trace = Trace::parse("seconds,requests_per_second\n5,10\n7,30,more\n9,0\n").unwrap();
        for (time, rate) in [(0.0, 10.0), (1.0, 20.0), (2.0, 30.0), (3.0, 15.0), (5.0, 20.0)] {
            assert_eq!(trace.at(time), rate, "{time}");
        }
        assert_eq!((trace.peak(1.0), trace.peak(9.0)), (10.0, 30.0));
    }

    #[test]
    fn an_unusable_trace_names_its_line() {
        let line = |line, text: &str| TraceError::Line {
            line,
            text: text.into(),
        };
        for (csv, error) in [
            ("", TraceError::Empty),
            ("1,1", TraceError::Empty),
            ("0,0\n1,0", TraceError::Empty),
            ("0,1\nx,2", line(2, "x,2")),
            ("0,1\n1,-2", line(2, "1,-2")),
            ("0,1\n1", line(2, "1")),
            ("0,1\n2,1\n2,1", TraceError::Order { line: 3 }),
        ] {
            assert_eq!(Trace::parse(csv), Err(error), "{csv}");
        }
    }
}
