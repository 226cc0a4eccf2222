//! Reports of `foreshift agent`: each sample once, whatever is sent again.
//!
//! An agent sends a sample again until it knows that it arrived, and begins its numbers anew when it starts. So for each of the
//! last few runs of a node's agent the highest number is kept, and what is not above it came before.

use std::time::Duration;

use foreshift_telemetry::{AMOUNT_MAX, FigureError, NodeLoad, SHARE_MAX, Said, figure};
use foreshift_wire::{AgentReceipt, AgentReport, AgentSample, OwnLoad, SourceKind};

use super::{
    handle::{Answer, Refusal},
    state::Pool,
};
use crate::clock::now_ms;

/// Runs of one node's agent that are told apart: two while one replaces the other, and some more.
const RUNS_MAX: usize = 4;
const RUN_CHARS_MAX: usize = 64;

/// What is known of a node's agents.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Vec<Run>);

#[derive(Debug, Clone)]
struct Run {
    id: String,
    newest_seq: u64,
}

impl Runs {
    /// Which of the samples are new, oldest first, and what the agent is told.
    fn take(&mut self, mut report: AgentReport) -> (Vec<AgentSample>, AgentReceipt) {
        let at = self.0.iter().position(|run| run.id == report.run);
        let mut run = match at {
            Some(at) => self.0.remove(at),
            None => Run {
                id: report.run,
                newest_seq: 0,
            },
        };
        report.samples.sort_by_key(|sample| sample.seq);
        let sent = report.samples.len() as u64;
        report.samples.dedup_by_key(|sample| sample.seq);
        report.samples.retain(|sample| sample.seq > run.newest_seq);
        let taken = report.samples.len() as u64;
        run.newest_seq = report.samples.last().map_or(run.newest_seq, |sample| sample.seq);
        let receipt = AgentReceipt {
            taken,
            repeated: sent - taken,
            newest_seq: run.newest_seq,
        };
        self.0.push(run);
        if self.0.len() > RUNS_MAX {
            self.0.remove(0);
        }
        (report.samples, receipt)
    }
}

impl Pool {
    /// Takes what a node's agent measured.
    pub(super) fn agent_report(&mut self, id: &str, report: AgentReport) -> Answer<AgentReceipt> {
        let id = self.known(id)?;
        check(&report).map_err(Refusal::Invalid)?;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Err(Refusal::NotFound(format!("no node {id}")));
        };
        let (samples, receipt) = node.agent_runs.take(report);
        let now = now_ms();
        for sample in &samples {
            let age = Duration::from_millis(sample.age_ms);
            if age > NodeLoad::TOLD_COUNTS_FOR {
                // Too old for the load now, but nobody else knows what it was then.
                node.series
                    .record_late(now, sample.age_ms, sample.cpu, sample.memory);
            }
            node.load.sources_mut().heard(now, &said(sample, age));
        }
        Ok(receipt)
    }
}

fn said(sample: &AgentSample, age: Duration) -> Said {
    let figures = figures(sample);
    let shown = figures.iter().skip(2);
    Said {
        age,
        figures: shown
            .filter_map(|(name, value, _)| Some((*name, (*value)?)))
            .collect(),
        ..Said::now(
            SourceKind::Agent,
            NodeLoad::TOLD_COUNTS_FOR,
            OwnLoad {
                cpu: sample.cpu,
                memory: sample.memory,
                utilisation: None,
            },
        )
    }
}

fn figures(sample: &AgentSample) -> [(&'static str, Option<f64>, f64); 7] {
    [
        ("cpu", sample.cpu, SHARE_MAX),
        ("memory", sample.memory, SHARE_MAX),
        ("network_bytes_per_s", sample.network_bytes_per_s, AMOUNT_MAX),
        ("load_1m", sample.load_1m, AMOUNT_MAX),
        ("cpu_stalled", sample.cpu_stalled, SHARE_MAX),
        ("memory_stalled", sample.memory_stalled, SHARE_MAX),
        ("io_stalled", sample.io_stalled, SHARE_MAX),
    ]
}

/// Refuses a report as a whole, by the name of what is wrong, before any of it counts.
fn check(report: &AgentReport) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if report.run.is_empty() || report.run.len() > RUN_CHARS_MAX || !report.run.chars().all(allowed) {
        return Err(format!("run: 1 to {RUN_CHARS_MAX} letters, digits and '-'"));
    }
    let most = AgentReport::SAMPLES_MAX;
    if report.samples.len() > most {
        return Err(format!(
            "samples: {} are too many, send at most {most}",
            report.samples.len()
        ));
    }
    for (n, sample) in report.samples.iter().enumerate() {
        if sample.seq == 0 {
            return Err(format!("samples[{n}].seq: begins at 1"));
        }
        for (name, value, max) in figures(sample) {
            let checked = value.map_or(Ok(0.0), |value| figure(name, value, max));
            checked.map_err(|error: FigureError| format!("samples[{n}].{error}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(run: &str, seqs: &[u64]) -> AgentReport {
        let sample = |seq: &u64| AgentSample {
            seq: *seq,
            ..AgentSample::default()
        };
        AgentReport {
            run: run.into(),
            samples: seqs.iter().map(sample).collect(),
        }
    }

    #[test]
    fn nothing_counts_twice_and_a_new_run_begins_anew() {
        let mut runs = Runs::default();
        for (run, seqs, taken, newest) in [
            ("a", &[1, 2, 3][..], 3, 3),
            ("a", &[1, 2, 3, 4], 1, 4),
            ("a", &[6, 5, 6], 2, 6),
            ("b", &[1], 1, 1),
            // A report of the former run that was under way meanwhile.
            ("a", &[6, 7], 1, 7),
            ("b", &[1, 2], 1, 2),
            ("b", &[], 0, 2),
        ] {
            let receipt = runs.take(report(run, seqs)).1;
            assert_eq!(
                (receipt.taken, receipt.newest_seq),
                (taken, newest),
                "{run} {seqs:?}"
            );
            assert_eq!(receipt.taken + receipt.repeated, seqs.len() as u64);
        }
        for n in 0..1_000 {
            runs.take(report(&format!("r{n}"), &[1]));
        }
        assert_eq!(runs.0.len(), RUNS_MAX);
    }

    #[test]
    fn garbage_is_refused_by_name() {
        let with = |change: fn(&mut AgentSample)| {
            let mut report = report("a", &[1, 2]);
            change(&mut report.samples[1]);
            report
        };
        for (report, name) in [
            (with(|s| s.cpu = Some(f64::NAN)), "samples[1].cpu: "),
            (with(|s| s.memory = Some(-0.1)), "samples[1].memory: "),
            (with(|s| s.load_1m = Some(1e300)), "samples[1].load_1m: "),
            (
                with(|s| s.io_stalled = Some(f64::INFINITY)),
                "samples[1].io_stalled: ",
            ),
            (with(|s| s.seq = 0), "samples[1].seq: "),
            (report("", &[1]), "run: "),
            (report("a b", &[1]), "run: "),
            (report("a", &[1; 129]), "samples: 129 are too many"),
        ] {
            let refused = check(&report).unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
        assert_eq!(check(&report("0a-1", &[1; 128])), Ok(()));
    }

    proptest! {
        #[test]
        fn however_reports_are_sent_again_each_number_is_taken_once(
            sends in proptest::collection::vec((0..2_u8, 1..20_u64, 0..6_u64), 1..40),
        ) {
            let mut runs = Runs::default();
            let mut taken = Vec::new();
            for (run, first, more) in sends {
                let run = run.to_string();
                let seqs: Vec<u64> = (first..=first + more).collect();
                let (samples, _) = runs.take(report(&run, &seqs));
                taken.extend(samples.iter().map(|sample| (run.clone(), sample.seq)));
            }
            let all = taken.len();
            taken.sort();
            taken.dedup();
            prop_assert_eq!(taken.len(), all);
        }
    }
}
