//! What nodes say of themselves in their answers (ORCA): taken out of heads and trailers, kept per node.
//!
//! A pool that asks for it has the fields looked for while its heads are copied anyway; nothing is allocated unless one is
//! there. The newest report of each node counts, and is told with the worker's next report. What is in a report is read in
//! `telemetry::orca`.

use std::{cell::RefCell, time::Instant};

use foreshift_telemetry::orca::{HEADER, HEADER_BIN, parse_bin_header, parse_header};
use foreshift_wire::{InBandReport, Orca, OwnLoad};

use crate::{connections::micros_since, http1};

/// A report as it was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    binary: bool,
    value: Box<[u8]>,
}

impl Carried {
    /// Keeps the value of a field that [`is_report`] found; the binary form counts before the other, and the first of one form.
    pub(crate) fn keep(slot: &mut Option<Self>, name: &[u8], value: &[u8]) {
        let binary = name.len() == HEADER_BIN.len();
        if slot.as_ref().is_none_or(|kept| binary && !kept.binary) {
            *slot = Some(Self {
                binary,
                value: value.into(),
            });
        }
    }
}

/// Whether a field carries a load report.
#[inline]
pub(crate) fn is_report(name: &[u8]) -> bool {
    match name.len() {
        21 => name.eq_ignore_ascii_case(HEADER.as_bytes()),
        25 => name.eq_ignore_ascii_case(HEADER_BIN.as_bytes()),
        _ => false,
    }
}

/// Takes the reports out of parsed fields.
pub(crate) fn take(fields: &mut http::HeaderMap) -> Option<Carried> {
    let mut carried = None;
    for name in [HEADER_BIN, HEADER] {
        if let Some(value) = fields.get(name) {
            Carried::keep(&mut carried, name.as_bytes(), value.as_bytes());
            fields.remove(name);
        }
    }
    carried
}

/// What one node said since the worker's last report.
#[derive(Debug, Default)]
pub(crate) struct Heard(RefCell<Option<Box<Kept>>>);

#[derive(Debug)]
struct Kept {
    report: InBandReport,
    at: Instant,
}

impl Heard {
    /// Takes one report in.
    pub(crate) fn take_in(&self, carried: &Carried, orca: &Orca, now: Instant) {
        if !orca.in_band {
            return;
        }
        let read = match carried.binary {
            true => parse_bin_header(&carried.value),
            false => parse_header(&carried.value),
        };
        let mut kept = self.0.borrow_mut();
        let kept = kept.get_or_insert_with(|| {
            Box::new(Kept {
                report: InBandReport::default(),
                at: now,
            })
        });
        match read.map(|report| report.own_load(&orca.metrics)) {
            Ok(load) => {
                kept.report.reports += 1;
                // A node that reports only what a request cost has said nothing new of its load.
                if !load.is_empty() {
                    let before = kept.report.load;
                    kept.report.load = OwnLoad {
                        cpu: load.cpu.or(before.cpu),
                        memory: load.memory.or(before.memory),
                        utilisation: load.utilisation.or(before.utilisation),
                    };
                    kept.at = now;
                }
            }
            Err(error) => {
                kept.report.refused += 1;
                kept.report.error = Some(error.to_string());
            }
        }
    }

    /// What was heard since the last call.
    pub(crate) fn report(&self, now: Instant) -> Option<InBandReport> {
        let kept = self.0.borrow_mut().take()?;
        Some(InBandReport {
            age_us: micros_since(kept.at, now),
            ..kept.report
        })
    }
}

/// Holds the trailers of a chunked answer back until all are there, to pass them on without the reports.
#[derive(Debug, Default)]
pub(crate) struct Sieve(Vec<u8>);

/// Trailer fields of one answer that are passed on at most.
const TRAILERS_MAX: usize = 64;

impl Sieve {
    /// Takes the trailers' part of what was read. Their size is bounded where chunks are followed.
    pub(crate) fn hold(&mut self, trailers: &[u8]) {
        self.0.extend_from_slice(trailers);
    }

    /// The trailers as the client shall have them, with the empty line that ends them, and the report that was among them.
    pub(crate) fn end(self) -> (Vec<u8>, Option<Carried>) {
        let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
        let mut out = Vec::with_capacity(self.0.len());
        let mut carried = None;
        // What is no list of fields is not passed on: the client could read it in another way.
        if let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&self.0, &mut fields) {
            for field in fields {
                match is_report(field.name.as_bytes()) {
                    true => Carried::keep(&mut carried, field.name.as_bytes(), field.value),
                    false => http1::line(&mut out, field.name.as_bytes(), field.value),
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        (out, carried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(fields: &[(&str, &str)]) -> Option<Carried> {
        let mut found = None;
        for (name, value) in fields.iter().filter(|(name, _)| is_report(name.as_bytes())) {
            Carried::keep(&mut found, name.as_bytes(), value.as_bytes());
        }
        found
    }

    #[test]
    fn the_binary_form_counts_and_the_first_of_a_form() {
        for (fields, value) in [
            (
                &[("Endpoint-Load-Metrics", "a"), ("endpoint-load-metrics", "b")][..],
                "a",
            ),
            (
                &[("endpoint-load-metrics", "a"), ("endpoint-load-metrics-bin", "b")],
                "b",
            ),
            (
                &[("endpoint-load-metrics-bin", "b"), ("endpoint-load-metrics", "a")],
                "b",
            ),
        ] {
            assert_eq!(
                carried(fields).unwrap().value.as_ref(),
                value.as_bytes(),
                "{fields:?}"
            );
        }
        assert_eq!(carried(&[("endpoint-load-metric", "a"), ("x", "b")]), None);
    }

    #[test]
    fn the_newest_report_counts_and_garbage_is_counted_with_its_reason() {
        let (heard, orca) = (Heard::default(), Orca::default());
        let start = Instant::now();
        for (after_ms, value) in [
            (0, "TEXT cpu=0.1"),
            (10, "TEXT cpu=0.4"),
            (20, "TEXT cpu=nan"),
            (30, "TEXT eps=1"),
        ] {
            let now = start + std::time::Duration::from_millis(after_ms);
            heard.take_in(&carried(&[(HEADER, value)]).unwrap(), &orca, now);
        }
        let told = heard
            .report(start + std::time::Duration::from_millis(110))
            .unwrap();
        assert_eq!((told.load.cpu, told.age_us), (Some(0.4), 100_000));
        assert_eq!((told.reports, told.refused), (3, 1));
        assert_eq!(
            told.error.as_deref(),
            Some("cpu: NaN is no number; send a finite one or leave it out")
        );
        assert_eq!(heard.report(start), None, "each report starts anew");
    }

    #[test]
    fn trailers_are_passed_on_without_the_report() {
        for (held, passed, value) in [
            ("\r\n", "\r\n", None),
            ("X: y\r\n\r\n", "X: y\r\n\r\n", None),
            (
                "A: 1\r\nendpoint-load-metrics: TEXT cpu=1\r\nB: 2\r\n\r\n",
                "A: 1\r\nB: 2\r\n\r\n",
                Some("TEXT cpu=1"),
            ),
            ("no field\r\n\r\n", "\r\n", None),
        ] {
            let mut sieve = Sieve::default();
            held.as_bytes().chunks(3).for_each(|part| sieve.hold(part));
            let (out, carried) = sieve.end();
            assert_eq!(String::from_utf8(out).unwrap(), passed, "{held:?}");
            assert_eq!(
                carried.map(|c| c.value),
                value.map(|v| v.as_bytes().into()),
                "{held:?}"
            );
        }
    }
}
