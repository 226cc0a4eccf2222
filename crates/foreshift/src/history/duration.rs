//! Lengths of time as people write them: `15min`, `1h30m`, `500ms`, `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 16] = [
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("w", 604_800_000),
];

/// Numbers with their units, one after the other; at least a millisecond.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no length of time; write as in 30s, 5min, 1h30m or 7d");
    let mut rest = text.trim();
    let mut ms = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters]);
        ms += number * unit.ok_or_else(wrong)?.1 as f64;
        rest = rest[letters..].trim_start();
    }
    // Beyond ten thousand years nothing is meant.
    if !(1.0..=3.2e14).contains(&ms) {
        return Err(wrong());
    }
    Ok(Duration::from_millis(ms.round() as u64))
}

/// In the largest unit that gives a short number: `15 min`, `1.5 h`, `500 ms`.
pub(crate) fn show(length: Duration) -> String {
    let ms = length.as_millis() as f64;
    let units = [
        (604_800_000.0, "w"),
        (86_400_000.0, "d"),
        (3_600_000.0, "h"),
        (60_000.0, "min"),
        (1_000.0, "s"),
    ];
    let whole = units.iter().find(|(unit, _)| ms >= *unit && ms % unit == 0.0);
    let fitting = units.iter().find(|(unit, _)| ms >= *unit);
    match (whole, fitting) {
        (Some((unit, name)), Some((largest, _))) if largest / unit <= 200.0 && ms / unit < 1_000.0 => {
            format!("{} {name}", ms / unit)
        }
        (_, Some((unit, name))) => {
            let number = format!("{:.1}", ms / unit);
            format!("{} {name}", number.trim_end_matches(".0"))
        }
        _ => format!("{ms} ms"),
    }
}

/// Steps, or a time that is so many of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Span {
    Steps(usize),
    Time(Duration),
}

/// A number alone is steps.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    match text.parse() {
        Ok(steps) => Ok(Span::Steps(steps)),
        Err(_) => parse(text)
            .map(Span::Time)
            .map_err(|error| format!("{error}, or as a number of steps")),
    }
}

impl Span {
    /// In steps, rounded up.
    pub(crate) fn steps(self, step: Duration) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Time(time) => {
                usize::try_from(time.as_millis().div_ceil(step.as_millis().max(1))).unwrap_or(usize::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5min", Some(300_000)),
            ("5 m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("7d", Some(604_800_000)),
            ("1 w", Some(604_800_000)),
            ("", None),
            ("5", None),
            ("0s", None),
            ("-5s", None),
            ("5 fortnights", None),
            ("1e9d", None),
            ("99999999999999999999d", None),
            ("..s", None),
        ] {
            assert_eq!(parse(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn lengths_are_shown_shortly() {
        for (ms, text) in [
            (1, "1 ms"),
            (500, "500 ms"),
            (5_000, "5 s"),
            (90_000, "90 s"),
            (900_000, "15 min"),
            (5_400_000, "90 min"),
            (86_400_000, "1 d"),
            (2 * 604_800_000, "2 w"),
            (86_400_000 + 60_000, "1 d"),
            (1_234, "1.2 s"),
        ] {
            assert_eq!(show(Duration::from_millis(ms)), text, "{ms}");
        }
    }
}
