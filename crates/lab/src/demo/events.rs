//! Moves in words: "a: predicted 92 in 6 s → moving 14 keys to c, d".

use std::collections::{BTreeMap, BTreeSet};

use foreshift_wire::{Move, MoveFailure, MoveId, MoveReason, MoveState, Unit};

/// Tells each move once when it is planned, and once more where it fails.
#[derive(Debug, Default)]
pub(super) struct Events {
    told: BTreeSet<MoveId>,
    failures_told: BTreeSet<MoveId>,
}

impl Events {
    /// What is new, as `(Unix milliseconds, line)`, by time.
    pub(super) fn tell(&mut self, moves: &BTreeMap<MoveId, Move>) -> Vec<(u64, String)> {
        let mut plans: BTreeMap<(u64, &str), Vec<&Move>> = BTreeMap::new();
        let mut failures: BTreeMap<&'static str, Vec<&Move>> = BTreeMap::new();
        for each in moves.values() {
            if self.told.insert(each.id) {
                plans
                    .entry((each.planned_ms, each.from.as_str()))
                    .or_default()
                    .push(each);
            }
            let failure = each.outcome.as_ref().and_then(|o| o.failure.as_ref());
            if let (MoveState::Failed, Some(failure)) = (each.state, failure)
                && self.failures_told.insert(each.id)
            {
                failures.entry(name(failure)).or_default().push(each);
            }
        }
        let plans = plans
            .into_iter()
            .map(|((at_ms, from), moves)| (at_ms, plan(from, &moves)));
        let failures = failures.into_iter().map(|(name, moves)| {
            let at_ms = moves
                .iter()
                .filter_map(|m| m.outcome.as_ref())
                .map(|o| o.ended_ms)
                .max();
            (
                at_ms.unwrap_or(0),
                format!("{} could not be moved and stay: {name}", count(&moves)),
            )
        });
        let mut lines: Vec<_> = plans.chain(failures).collect();
        lines.sort();
        lines
    }
}

fn plan(from: &str, moves: &[&Move]) -> String {
    let why = moves.first().map_or(String::new(), |first| match &first.reason {
        MoveReason::PredictedOverload { predicted, in_ms, .. } => {
            format!("predicted {predicted:.0} in {} s", in_ms.div_ceil(1000))
        }
        MoveReason::CurrentOverload { score, .. } => format!("{score:.0} now"),
        MoveReason::Drain => "draining".into(),
        MoveReason::Operator => "asked for".into(),
    });
    let to: BTreeSet<&str> = moves.iter().map(|m| m.to.as_str()).collect();
    let to: Vec<&str> = to.into_iter().collect();
    format!("{from}: {why} → moving {} to {}", count(moves), to.join(", "))
}

fn count(moves: &[&Move]) -> String {
    let keys = moves
        .iter()
        .filter(|m| matches!(m.unit, Unit::Key { .. }))
        .count();
    let noun = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    match (keys, moves.len() - keys) {
        (keys, 0) => noun(keys, "key"),
        (0, buckets) => noun(buckets, "bucket"),
        (keys, buckets) => format!("{} and {}", noun(keys, "key"), noun(buckets, "bucket")),
    }
}

fn name(failure: &MoveFailure) -> &'static str {
    match failure {
        MoveFailure::Connect { .. } => "the new node did not accept a connection",
        MoveFailure::Handoff { .. } => "the old node's hook failed",
        MoveFailure::Replay { .. } => "the new node did not get the session's partitions",
        MoveFailure::Fence { .. } => "the store did not give it the session",
        MoveFailure::Resume { .. } => "the new node refused the state",
        MoveFailure::Handshake { .. } => "the new node refused the handshake",
        MoveFailure::Deadline { .. } => "the deadline passed",
        MoveFailure::Unmovable { .. } => "a connection cannot be moved",
        MoveFailure::OldNodeLost => "the old node died",
        MoveFailure::Cancelled { .. } => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{NodeId, PoolName, SessionId};

    use super::*;

    fn planned(id: u64, to: &str) -> (MoveId, Move) {
        let each = Move {
            id: MoveId(id),
            pool: PoolName::new("app").unwrap(),
            unit: Unit::Key {
                session: SessionId(u128::from(id)),
                key: id.to_string(),
            },
            from: NodeId::new("a").unwrap(),
            to: NodeId::new(to).unwrap(),
            reason: MoveReason::PredictedOverload {
                predicted: 92.3,
                in_ms: 5_500,
                threshold: 80.0,
            },
            benefit: 1.0,
            cost: 0.1,
            priority: 0,
            planned_ms: 7,
            state: MoveState::Moving,
            outcome: None,
        };
        (each.id, each)
    }

    #[test]
    fn a_round_of_moves_is_told_once_in_one_line() {
        let mut events = Events::default();
        let mut moves = BTreeMap::from([planned(1, "c"), planned(2, "d"), planned(3, "c")]);
        let line = "a: predicted 92 in 6 s → moving 3 keys to c, d";
        assert_eq!(events.tell(&moves), [(7, line.to_owned())]);
        moves.extend([planned(4, "b")]);
        assert_eq!(
            events.tell(&moves),
            [(7, "a: predicted 92 in 6 s → moving 1 key to b".to_owned())]
        );
    }
}
