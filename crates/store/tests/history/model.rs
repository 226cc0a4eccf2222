//! What a partition does by itself: the promise that histories are held against.

use std::collections::BTreeMap;

use foreshift_store::If;
use foreshift_wire::{Epoch, Version};

/// An operation's number in its history. A write's values are its number, so that each value says who wrote it.
pub(crate) type Op = u32;

/// The key that every write writes, so that who wrote last can be seen.
pub(crate) const STAMP: u8 = 0;

/// What somebody did.
#[derive(Debug, Clone)]
pub(crate) enum Did {
    /// A node began to serve, in this reign.
    Hand(Epoch),
    /// All keys were read: who wrote them in which version, and the partition's version.
    Read(BTreeMap<u8, (Op, Version)>, Version),
    Write(Wrote),
}

#[derive(Debug, Clone)]
pub(crate) struct Wrote {
    /// The reign that the writer said.
    pub(crate) epoch: Option<Epoch>,
    /// On the partition.
    pub(crate) condition: If,
    pub(crate) replace: bool,
    /// Keys, with their conditions and whether they are set or removed.
    pub(crate) changes: Vec<(u8, If, bool)>,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done(Version),
    /// A condition of the partition, or of a key, did not hold: what was found.
    Conflict(Option<u8>, Version),
    Fenced(Epoch),
    /// It may be done or not, at any time.
    Unknown,
}

/// Versions of the writes whose versions were seen.
pub(crate) type Versions = BTreeMap<Op, Version>;

/// A partition and the reign over its session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct State {
    /// Who wrote the keys.
    keys: BTreeMap<u8, Op>,
    last: Option<Op>,
    epoch: Epoch,
}

impl State {
    /// What it is after an operation; `None` where it would have answered otherwise.
    pub(crate) fn after(&self, op: Op, did: &Did, versions: &Versions) -> Option<Self> {
        match did {
            Did::Hand(epoch) => Some(Self {
                epoch: self.epoch.max(*epoch),
                ..self.clone()
            }),
            Did::Read(keys, version) => {
                let is_same = keys.len() == self.keys.len()
                    && keys.iter().all(|(key, (op, _))| self.keys.get(key) == Some(op));
                (is_same && is_version(self.last, *version, versions)).then(|| self.clone())
            }
            Did::Write(wrote) => self.after_write(op, wrote, versions),
        }
    }

    fn after_write(&self, op: Op, wrote: &Wrote, versions: &Versions) -> Option<Self> {
        if wrote.epoch.is_some_and(|epoch| epoch != self.epoch) {
            return (wrote.answer == Answer::Fenced(self.epoch)).then(|| self.clone());
        }
        if let Some((key, found)) = self.conflict(wrote, versions) {
            return match wrote.answer {
                Answer::Conflict(of, version) if of == key && is_version(found, version, versions) => {
                    Some(self.clone())
                }
                _ => None,
            };
        }
        let rises = |new: &Version| {
            self.last
                .and_then(|last| versions.get(&last))
                .is_none_or(|last| last < new)
        };
        match wrote.answer {
            Answer::Done(_) | Answer::Unknown if versions.get(&op).is_none_or(rises) => {
                Some(self.written(op, wrote))
            }
            _ => None,
        }
    }

    /// The first condition that does not hold, with who wrote what it is about.
    fn conflict(&self, wrote: &Wrote, versions: &Versions) -> Option<(Option<u8>, Option<Op>)> {
        let partition = (None, wrote.condition, self.last);
        let keys = wrote
            .changes
            .iter()
            .map(|(key, condition, _)| (Some(*key), *condition, self.keys.get(key).copied()));
        let fails = |(_, condition, found): &(Option<u8>, If, Option<Op>)| match (condition, found) {
            (If::Is(version), Some(op)) => !is_version(Some(*op), *version, versions),
            (condition, found) => {
                !condition.holds(found.map(|op| versions.get(&op).copied().unwrap_or_default()))
            }
        };
        let mut all = std::iter::once(partition).chain(keys);
        all.find(fails).map(|(key, _, found)| (key, found))
    }

    fn written(&self, op: Op, wrote: &Wrote) -> Self {
        let mut keys = if wrote.replace {
            BTreeMap::new()
        } else {
            self.keys.clone()
        };
        for (key, _, is_set) in &wrote.changes {
            match is_set {
                true => drop(keys.insert(*key, op)),
                false => drop(keys.remove(key)),
            }
        }
        Self {
            keys,
            last: Some(op),
            epoch: self.epoch,
        }
    }
}

/// Whether this may be the version of what that write wrote. Of one that was never seen it may be any that no other has.
fn is_version(op: Option<Op>, version: Version, versions: &Versions) -> bool {
    match op {
        None => version == Version(0),
        Some(op) => match versions.get(&op) {
            Some(known) => *known == version,
            None => version > Version(0) && !versions.values().any(|known| *known == version),
        },
    }
}
