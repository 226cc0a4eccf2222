//! `foreshift sessions stats`: what was replayed to nodes, and what is replayed in parts.

use anyhow::Result;
use foreshift_wire::{SessionStats, SplitDecision, SplitStats};

use super::Access;
use crate::output::{Output, Rows};

pub(super) fn stats(out: &Output, access: &Access) -> Result<()> {
    let stats: SessionStats = access.client()?.get("/v1/sessions/stats")?;
    if access.remote.json {
        return out.json(&stats);
    }
    out.line(replayed(&stats))?;
    out.line(format!("{} bytes were not required", stats.bytes_not_required))?;
    match stats.splits.is_empty() {
        true => Ok(()),
        false => out.line(format!("\n{}", splits(&stats.splits))),
    }
}

fn replayed(stats: &SessionStats) -> String {
    let mut rows = Rows::new(&[
        "partition",
        ">portions",
        ">deltas",
        ">sent",
        ">held",
        ">left out",
        ">acknowledged",
    ]);
    let named = stats
        .partitions
        .iter()
        .map(|one| (one.name.to_string(), one.replay));
    let others = (stats.others.portions > 0).then(|| ("(others)".to_owned(), stats.others));
    for (name, counts) in named.chain(others) {
        let numbers = [
            counts.portions,
            counts.deltas,
            counts.bytes_sent,
            counts.bytes_held,
            counts.bytes_left,
            counts.acknowledged,
        ];
        rows.add([name].into_iter().chain(numbers.map(|number| number.to_string())));
    }
    rows.text()
}

fn splits(splits: &[SplitStats]) -> String {
    let mut rows = Rows::new(&["pool", "partition", ">reigns", ">changes", ">misses", "replayed"]);
    for split in splits {
        rows.add([
            split.pool.to_string(),
            split.partition.to_string(),
            split.reigns.to_string(),
            split.changes.to_string(),
            split.misses.to_string(),
            how(&split.decision),
        ]);
    }
    rows.text()
}

/// Whole or in parts, and why. Parts come percent-encoded, so that nothing in them moves a terminal.
fn how(decision: &SplitDecision) -> String {
    match decision {
        SplitDecision::TooFew { needed } => format!("whole: nothing is decided before {needed} reigns"),
        SplitDecision::TooMany => "whole: it has too many parts, or one with too long a name".into(),
        SplitDecision::Whole => "whole: it is not sure that parts are used apart".into(),
        SplitDecision::Split {
            always,
            groups,
            closest: [first, second],
            share,
        } => {
            let always = (!always.is_empty()).then(|| format!("always {}", always.join(" ")));
            let groups = groups.iter().map(|group| group.join(" "));
            let parts: Vec<_> = always.into_iter().chain(groups).collect();
            format!(
                "in parts: {}; the closest, {first} and {second}, are used together in {:.0} %",
                parts.join(" | "),
                share * 100.0
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_says_how_it_is_replayed_and_why() {
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let split = SplitDecision::Split {
            always: texts(&["meta"]),
            groups: vec![texts(&["map", "quest"]), texts(&["a%20b"])],
            closest: ["map".into(), "a%20b".into()],
            share: 0.125,
        };
        for (decision, expected) in [
            (
                SplitDecision::TooFew { needed: 32 },
                "whole: nothing is decided before 32 reigns",
            ),
            (
                SplitDecision::TooMany,
                "whole: it has too many parts, or one with too long a name",
            ),
            (
                SplitDecision::Whole,
                "whole: it is not sure that parts are used apart",
            ),
            (
                split,
                "in parts: always meta | map quest | a%20b; the closest, map and a%20b, are used together in 12 %",
            ),
        ] {
            assert_eq!(how(&decision), expected);
        }
    }
}
