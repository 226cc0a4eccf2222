//! Looks for an order of a history's operations in which the model gives the answers that were given.
//!
//! Wing & Gong, *Testing and verifying concurrent objects* (1993): try whatever may come first, and go on with the rest; with
//! Lowe's memory of what was tried, *Testing for linearizability* (2017).

use std::collections::HashSet;

use foreshift_wire::Version;

use crate::model::{Answer, Did, Op, State, Versions};

/// Most operations of a history.
pub(crate) const OPS_MAX: usize = 128;

/// An operation with when it was called and when it answered, on one clock that orders all of these moments.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) op: Op,
    pub(crate) called: u64,
    /// `u64::MAX`: it may be done at any time, or never.
    pub(crate) answered: u64,
    pub(crate) did: Did,
}

/// Says why there is no such order.
pub(crate) fn check(history: &[Recorded]) -> Result<(), String> {
    assert!(history.len() <= OPS_MAX, "too many operations: {}", history.len());
    let versions = versions(history)?;
    let mut search = Search {
        history,
        versions: &versions,
        tried: HashSet::new(),
        furthest: 0,
    };
    if search.has_order(0, &State::default()) {
        return Ok(());
    }
    let left = history
        .iter()
        .enumerate()
        .filter(|(n, _)| search.furthest & (1 << n) == 0);
    let left: Vec<_> = left.map(|(_, recorded)| format!("{recorded:?}")).collect();
    Err(format!(
        "no order gives these answers; at best these are left:\n{}",
        left.join("\n")
    ))
}

/// The version of each write, as it was answered or read; one that has two is wrong by itself.
fn versions(history: &[Recorded]) -> Result<Versions, String> {
    let mut versions = Versions::new();
    let mut saw = |op: Op, version: Version| match versions.insert(op, version) {
        Some(before) if before != version => {
            Err(format!("write {op} has the versions {before} and {version}"))
        }
        _ => Ok(()),
    };
    for Recorded { op, did, .. } in history {
        match did {
            Did::Write(wrote) => {
                if let Answer::Done(version) = wrote.answer {
                    saw(*op, version)?;
                }
            }
            Did::Read(keys, _) => keys.values().try_for_each(|(op, version)| saw(*op, *version))?,
            Did::Hand(_) => {}
        }
    }
    Ok(versions)
}

struct Search<'a> {
    history: &'a [Recorded],
    versions: &'a Versions,
    /// What was done, as bits, and what came of it: it led nowhere.
    tried: HashSet<(u128, State)>,
    furthest: u128,
}

impl Search<'_> {
    fn has_order(&mut self, done: u128, state: &State) -> bool {
        if done.count_ones() > self.furthest.count_ones() {
            self.furthest = done;
        }
        let history = self.history;
        let left = || history.iter().enumerate().filter(|(n, _)| done & (1 << n) == 0);
        // What was called after another answered comes after it.
        let first_answer = left()
            .map(|(_, recorded)| recorded.answered)
            .min()
            .unwrap_or(u64::MAX);
        if first_answer == u64::MAX {
            return true;
        }
        for (n, recorded) in left().filter(|(_, recorded)| recorded.called < first_answer) {
            let Some(next) = state.after(recorded.op, &recorded.did, self.versions) else {
                continue;
            };
            let done = done | 1 << n;
            if self.tried.insert((done, next.clone())) && self.has_order(done, &next) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use foreshift_store::If;
    use foreshift_wire::Epoch;

    use super::*;
    use crate::model::Wrote;

    fn write(op: Op, called: u64, answered: u64, answer: Answer) -> Recorded {
        let wrote = Wrote {
            epoch: None,
            condition: If::Any,
            replace: false,
            changes: vec![(0, If::Any, true)],
            answer,
        };
        Recorded {
            op,
            called,
            answered,
            did: Did::Write(wrote),
        }
    }

    fn read(op: Op, called: u64, answered: u64, saw: Option<(Op, u64)>) -> Recorded {
        let keys = saw.map(|(op, version)| (0, (op, Version(version))));
        let version = Version(saw.map_or(0, |(_, version)| version));
        Recorded {
            op,
            called,
            answered,
            did: Did::Read(BTreeMap::from_iter(keys), version),
        }
    }

    #[test]
    fn a_history_has_an_order_or_none() {
        let done = |version| Answer::Done(Version(version));
        for (what, history, has_order) in [
            ("nothing", vec![], true),
            ("a read of nothing", vec![read(0, 0, 1, None)], true),
            (
                "a lost write",
                vec![write(0, 0, 1, done(5)), read(1, 2, 3, None)],
                false,
            ),
            (
                "one at the same time",
                vec![write(0, 0, 3, done(5)), read(1, 1, 2, None)],
                true,
            ),
            (
                "seen and then not",
                vec![
                    write(0, 0, 9, done(5)),
                    read(1, 1, 2, Some((0, 5))),
                    read(2, 3, 4, None),
                ],
                false,
            ),
            (
                "an old value",
                vec![
                    write(0, 0, 1, done(5)),
                    write(1, 2, 3, done(6)),
                    read(2, 4, 5, Some((0, 5))),
                ],
                false,
            ),
            (
                "a version that falls",
                vec![write(0, 0, 1, done(6)), write(1, 2, 3, done(5))],
                false,
            ),
            (
                "an unknown one that was done late",
                vec![
                    write(0, 0, u64::MAX, Answer::Unknown),
                    read(1, 2, 3, None),
                    read(2, 4, 5, Some((0, 5))),
                ],
                true,
            ),
            (
                "a conflict without a condition",
                vec![write(0, 0, 1, Answer::Conflict(None, Version(0)))],
                false,
            ),
            (
                "fenced by nobody",
                vec![write(0, 0, 1, Answer::Fenced(Epoch(1)))],
                false,
            ),
        ] {
            assert_eq!(check(&history).is_ok(), has_order, "{what}");
        }
    }
}
