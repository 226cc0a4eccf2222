//! What a node says of itself, from several sources with clocks and rates of their own.
//!
//! All are joined on the time at which control heard them: a source's own clock is never asked, so one that is an hour off does
//! no harm. Each source has a limit of its own after which what it said is stale: not used, and shown as stale. Where several say
//! the same signal, the highest that is not stale counts. The newest would make the signal swing between a machine's CPU and a
//! process's as reports come in; the highest errs to the safe side.

use std::time::Duration;

use foreshift_wire::{OwnLoad, SourceKind, SourceView};

use crate::figure::{SHARE_MAX, figure};

/// Longest error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 256;
/// Figures beside the load that are kept of one source.
const FIGURES_MAX: usize = 32;

/// The sources of one node, at most one a [`SourceKind`].
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

/// A report of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Whose.
    pub kind: SourceKind,
    /// For how long it counts.
    pub stale_after: Duration,
    /// How old it was when it was heard.
    pub age: Duration,
    /// What it says. Values out of range are left out.
    pub load: OwnLoad,
    /// Further figures, by name.
    pub figures: Vec<(&'static str, f64)>,
    /// How many reports these are, of which it is the newest.
    pub reports: u64,
}

impl Said {
    /// One report that was made just now.
    pub fn now(kind: SourceKind, stale_after: Duration, load: OwnLoad) -> Self {
        Self {
            kind,
            stale_after,
            age: Duration::ZERO,
            load,
            figures: Vec::new(),
            reports: 1,
        }
    }
}

#[derive(Debug, Clone)]
struct Source {
    kind: SourceKind,
    stale_after_ms: u64,
    /// CPU, memory, utilisation, each with the time it was said.
    values: [Option<(f64, u64)>; 3],
    figures: Vec<(&'static str, f64)>,
    at_ms: Option<u64>,
    reports: u64,
    failures: u64,
    error: Option<String>,
}

impl Source {
    /// The clock that was set back makes a report stale just as one that went on.
    fn is_fresh(&self, at_ms: u64, now_ms: u64) -> bool {
        now_ms.abs_diff(at_ms) <= self.stale_after_ms
    }

    fn view(&self, now_ms: u64) -> SourceView {
        let [cpu, memory, utilisation] = self.values.map(|known| known.map(|(value, _)| value));
        SourceView {
            kind: self.kind,
            load: OwnLoad {
                cpu,
                memory,
                utilisation,
            },
            figures: self
                .figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            age_ms: self.at_ms.map(|at| now_ms.saturating_sub(at)),
            stale_after_ms: self.stale_after_ms,
            stale: !self.at_ms.is_some_and(|at| self.is_fresh(at, now_ms)),
            reports: self.reports,
            failures: self.failures,
            error: self.error.clone(),
        }
    }
}

impl Sources {
    fn of(&mut self, kind: SourceKind) -> &mut Source {
        let at = self
            .0
            .iter()
            .position(|source| source.kind == kind)
            .unwrap_or_else(|| {
                self.0.push(Source {
                    kind,
                    stale_after_ms: 0,
                    values: [None; 3],
                    figures: Vec::new(),
                    at_ms: None,
                    reports: 0,
                    failures: 0,
                    error: None,
                });
                self.0.len() - 1
            });
        &mut self.0[at]
    }

    /// Takes a report in. One that is older than what the same source said before changes nothing but the count.
    pub fn heard(&mut self, now_ms: u64, said: &Said) {
        let source = self.of(said.kind);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let at_ms = now_ms.saturating_sub(millis(said.age));
        source.stale_after_ms = millis(said.stale_after);
        source.reports = source.reports.saturating_add(said.reports);
        // What lies in the future was said before the clock was set back.
        let newer = |before: u64| at_ms >= before || before > now_ms;
        for (known, value) in source.values.iter_mut().zip(said.load.to_array()) {
            let value = value.filter(|value| figure("", *value, SHARE_MAX).is_ok());
            if let Some(value) = value.filter(|_| known.is_none_or(|(_, before)| newer(before))) {
                *known = Some((value, at_ms));
            }
        }
        if source.at_ms.is_none_or(newer) {
            source.at_ms = Some(at_ms);
            source.error = None;
            let figures = said.figures.iter().take(FIGURES_MAX);
            source.figures = figures.filter(|(_, value)| value.is_finite()).copied().collect();
        }
    }

    /// Notes that reports of a source did not come, or were refused.
    pub fn failed(&mut self, kind: SourceKind, stale_after: Duration, failures: u64, error: &str) {
        let source = self.of(kind);
        source.stale_after_ms = u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX);
        source.failures = source.failures.saturating_add(failures);
        source.error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
    }

    /// A source that is no longer asked.
    pub fn forget(&mut self, kind: SourceKind) {
        self.0.retain(|source| source.kind != kind);
    }

    /// The highest of each signal over all that is not stale.
    pub fn load(&self, now_ms: u64) -> OwnLoad {
        let mut joined = [None; 3];
        for source in &self.0 {
            for (highest, known) in joined.iter_mut().zip(&source.values) {
                if let Some((value, at_ms)) = known
                    && source.is_fresh(*at_ms, now_ms)
                {
                    *highest = Some(highest.map_or(*value, |highest: f64| highest.max(*value)));
                }
            }
        }
        let [cpu, memory, utilisation] = joined;
        OwnLoad {
            cpu,
            memory,
            utilisation,
        }
    }

    /// All of them, in the order in which they were first heard.
    pub fn views(&self, now_ms: u64) -> Vec<SourceView> {
        self.0.iter().map(|source| source.view(now_ms)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const LIMIT: Duration = Duration::from_secs(10);

    fn cpu(cpu: f64) -> OwnLoad {
        OwnLoad {
            cpu: Some(cpu),
            ..OwnLoad::default()
        }
    }

    fn said(kind: SourceKind, age_ms: u64, value: f64) -> Said {
        Said {
            age: Duration::from_millis(age_ms),
            ..Said::now(kind, LIMIT, cpu(value))
        }
    }

    #[test]
    fn the_highest_that_is_not_stale_counts() {
        let mut sources = Sources::default();
        sources.heard(NOW, &said(SourceKind::OrcaInBand, 0, 0.9));
        let slow = Said {
            stale_after: Duration::from_secs(45),
            ..said(SourceKind::Prometheus, 0, 0.4)
        };
        sources.heard(NOW, &slow);
        for (after_ms, expected) in [
            (0, Some(0.9)),
            (10_000, Some(0.9)),
            (10_001, Some(0.4)),
            (45_000, Some(0.4)),
            (45_001, None),
        ] {
            assert_eq!(sources.load(NOW + after_ms).cpu, expected, "after {after_ms} ms");
        }
        let stale: Vec<_> = sources
            .views(NOW + 20_000)
            .iter()
            .map(|s| (s.kind, s.stale))
            .collect();
        assert_eq!(
            stale,
            [(SourceKind::OrcaInBand, true), (SourceKind::Prometheus, false)]
        );
    }

    #[test]
    fn reports_count_from_when_they_were_made_and_an_older_one_changes_nothing() {
        let mut sources = Sources::default();
        sources.heard(NOW, &said(SourceKind::Agent, 2_000, 0.5));
        sources.heard(NOW, &said(SourceKind::Agent, 9_000, 0.1));
        assert_eq!(sources.load(NOW).cpu, Some(0.5));
        assert_eq!(sources.load(NOW + 8_001).cpu, None);
        let view = &sources.views(NOW + 1_000)[0];
        assert_eq!((view.age_ms, view.reports), (Some(3_000), 2));
        sources.heard(NOW, &said(SourceKind::Agent, 0, 0.7));
        assert_eq!(sources.load(NOW).cpu, Some(0.7));
    }

    #[test]
    fn a_signal_that_a_source_no_longer_says_goes_stale_by_itself() {
        let mut sources = Sources::default();
        let both = OwnLoad {
            memory: Some(0.8),
            ..cpu(0.5)
        };
        sources.heard(NOW, &Said::now(SourceKind::Api, LIMIT, both));
        sources.heard(NOW + 9_000, &said(SourceKind::Api, 0, 0.6));
        let joined = sources.load(NOW + 11_000);
        assert_eq!((joined.cpu, joined.memory), (Some(0.6), None));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_reports_stale_and_the_next_one_counts() {
        let mut sources = Sources::default();
        sources.heard(NOW, &said(SourceKind::Api, 0, 0.5));
        let back = NOW - 3_600_000;
        assert_eq!(sources.load(back).cpu, None);
        sources.heard(back, &said(SourceKind::Api, 0, 0.6));
        assert_eq!(sources.load(back).cpu, Some(0.6));
    }

    #[test]
    fn a_failure_is_shown_until_the_next_report_and_takes_nothing_away() {
        let mut sources = Sources::default();
        sources.heard(NOW, &said(SourceKind::Prometheus, 0, 0.5));
        sources.failed(SourceKind::Prometheus, LIMIT, 1, &"no ".repeat(500));
        assert_eq!(sources.load(NOW).cpu, Some(0.5));
        let view = &sources.views(NOW)[0];
        assert_eq!(
            (view.failures, view.error.as_ref().unwrap().len()),
            (1, ERROR_CHARS_MAX)
        );
        sources.heard(NOW + 1, &said(SourceKind::Prometheus, 0, 0.5));
        assert_eq!(sources.views(NOW)[0].error, None);
        sources.failed(SourceKind::OrcaOutOfBand, LIMIT, 1, "no");
        let silent = &sources.views(NOW)[1];
        assert_eq!((silent.age_ms, silent.stale), (None, true));
    }

    #[test]
    fn garbage_that_got_so_far_is_left_out() {
        let mut sources = Sources::default();
        for value in [f64::NAN, f64::INFINITY, -0.1, 1e300] {
            sources.heard(NOW, &said(SourceKind::Api, 0, value));
            assert_eq!(sources.load(NOW), OwnLoad::default(), "{value}");
        }
    }
}
