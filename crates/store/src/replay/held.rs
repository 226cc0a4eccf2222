//! What nodes hold of sessions, from what they acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use foreshift_wire::{NodeId, PartitionName, SessionId, Version};

/// What a session, a node and a partition are taken to need in memory, with their maps, in bytes.
const SESSION_BYTES: usize = 160;
const NODE_BYTES: usize = 120;
const PARTITION_BYTES: usize = 160;
const PART_BYTES: usize = 96;

/// So long an acknowledgement is sure to be of the move that goes on; afterwards the node is asked again, as it may have been restarted.
const NEW_FOR: Duration = Duration::from_secs(60);

/// What a node holds of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// In this version; 0: it may hold any, as it did not acknowledge what it was told.
    pub(crate) version: Version,
    /// Without these parts.
    pub(crate) left: BTreeSet<Bytes>,
    /// It acknowledged it in the move that goes on: it did not hold it before, and holds it for sure.
    pub(crate) is_new: bool,
}

/// A partition at a node.
#[derive(Debug, Default)]
struct Copy {
    known: Option<(Version, BTreeSet<Bytes>)>,
    /// When it acknowledged that, where it did in the move that goes on.
    new_since: Option<Instant>,
    /// What it was told and did not acknowledge yet, without which parts.
    told: Option<(Version, BTreeSet<Bytes>)>,
}

type Copies = BTreeMap<PartitionName, Copy>;

/// Which versions nodes hold. Where there is no room for more, the sessions that were not moved for the longest are forgotten.
#[derive(Debug)]
pub(crate) struct Held(Mutex<Table>);

#[derive(Debug)]
struct Table {
    sessions: HashMap<SessionId, Row>,
    /// Sessions by when they were used.
    ages: BTreeMap<u64, SessionId>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Row {
    age: u64,
    bytes: usize,
    nodes: BTreeMap<NodeId, Copies>,
    /// Served the session, and may keep what they had of it then.
    served: BTreeSet<NodeId>,
}

impl Copy {
    fn known(&self, now: Instant) -> Option<Known> {
        let is_new = self.new_since.is_some_and(|since| now < since + NEW_FOR);
        match (&self.known, &self.told) {
            (None, None) => None,
            (Some((version, left)), told) if told.as_ref().is_none_or(|(_, left)| left.is_empty()) => {
                Some(Known {
                    version: *version,
                    left: left.clone(),
                    is_new,
                })
            }
            // It took what it was told, or did not; and then it may lack parts that it had.
            _ => Some(Known {
                version: Version(0),
                left: BTreeSet::new(),
                is_new: false,
            }),
        }
    }
}

impl Held {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Mutex::new(Table {
            sessions: HashMap::new(),
            ages: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            bytes_max,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing is half done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a node holds, now that a session is to move to it. What others were told is not new any more.
    pub(crate) fn moving(
        &self,
        session: SessionId,
        to: &NodeId,
        now: Instant,
    ) -> BTreeMap<PartitionName, Known> {
        let mut table = self.lock();
        if !table.sessions.contains_key(&session) {
            return BTreeMap::new();
        }
        table.change(session, |row| {
            let others = row.nodes.iter_mut().filter(|(node, _)| *node != to);
            for copy in others.flat_map(|(_, copies)| copies.values_mut()) {
                copy.new_since = None;
            }
            let copies = row.nodes.get(to).into_iter().flatten();
            let known = |(name, copy): (&PartitionName, &Copy)| Some((name.clone(), copy.known(now)?));
            copies.filter_map(known).collect()
        })
    }

    /// A node is told a partition in this version, without these parts.
    pub(crate) fn told(
        &self,
        session: SessionId,
        to: &NodeId,
        name: &PartitionName,
        at: Version,
        left: &BTreeSet<Bytes>,
    ) {
        let mut table = self.lock();
        table.change(session, |row| {
            let copies = row.nodes.entry(to.clone()).or_default();
            let copy = copies.entry(name.clone()).or_default();
            let before = copy.told.take().filter(|(version, _)| *version == at);
            let mut left = left.clone();
            // Told twice before it was acknowledged: which of the two it is, is not known.
            left.extend(before.into_iter().flat_map(|(_, left)| left));
            copy.told = Some((at, left));
        });
    }

    /// A node acknowledged a partition in a version; 0: that there is none.
    pub(crate) fn holds(
        &self,
        session: SessionId,
        node: &NodeId,
        name: &PartitionName,
        version: Version,
        now: Instant,
    ) {
        self.lock().change(session, |row| {
            let copies = row.nodes.entry(node.clone()).or_default();
            if version == Version(0) {
                copies.remove(name);
                return;
            }
            let copy = copies.entry(name.clone()).or_default();
            let left = match &copy.told {
                None => BTreeSet::new(),
                Some((at, left)) if *at == version || left.is_empty() => left.clone(),
                // Of what it acknowledged it is not known what was left out.
                Some(_) => return,
            };
            *copy = Copy {
                known: Some((version, left)),
                new_since: Some(now),
                told: None,
            };
        });
    }

    /// A node does not hold what it was thought to hold.
    pub(crate) fn forgets(&self, session: SessionId, node: &NodeId) {
        let mut table = self.lock();
        if table.sessions.contains_key(&session) {
            table.change(session, |row| {
                row.nodes.remove(node);
                row.served.remove(node);
            });
        }
    }

    /// A node serves a session no more. Of its copies nothing is known, except that there may be some.
    pub(crate) fn served(&self, session: SessionId, node: NodeId) {
        self.lock().change(session, |row| row.served.insert(node));
    }

    /// Nodes that hold something of a session, or may.
    pub(crate) fn holders(&self, session: SessionId) -> Vec<NodeId> {
        let table = self.lock();
        let row = table.sessions.get(&session);
        let nodes: BTreeSet<_> = row
            .into_iter()
            .flat_map(|row| row.nodes.keys().chain(&row.served))
            .collect();
        nodes.into_iter().cloned().collect()
    }

    /// Sessions that are remembered, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let table = self.lock();
        (table.sessions.len(), table.bytes)
    }
}

impl Table {
    /// Changes a session's row, which is the youngest then.
    fn change<T>(&mut self, session: SessionId, change: impl FnOnce(&mut Row) -> T) -> T {
        let mut row = self.remove(session).unwrap_or_default();
        let done = change(&mut row);
        row.nodes.retain(|_, copies| !copies.is_empty());
        if !row.nodes.is_empty() || !row.served.is_empty() {
            self.uses += 1;
            row.age = self.uses;
            row.bytes = row.weight();
            self.bytes += row.bytes;
            self.ages.insert(row.age, session);
            self.sessions.insert(session, row);
            self.shrink();
        }
        done
    }

    fn remove(&mut self, session: SessionId) -> Option<Row> {
        let row = self.sessions.remove(&session)?;
        self.ages.remove(&row.age);
        self.bytes -= row.bytes;
        Some(row)
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.ages.first_key_value() else {
                return;
            };
            self.remove(*oldest);
        }
    }
}

impl Row {
    fn weight(&self) -> usize {
        let parts = |left: &BTreeSet<Bytes>| left.len() * PART_BYTES;
        let copy = |copy: &Copy| {
            let known = copy.known.as_ref().map_or(0, |(_, left)| parts(left));
            PARTITION_BYTES + known + copy.told.as_ref().map_or(0, |(_, left)| parts(left))
        };
        let node = |copies: &Copies| NODE_BYTES + copies.values().map(copy).sum::<usize>();
        let served = self.served.len() * NODE_BYTES;
        SESSION_BYTES + served + self.nodes.values().map(node).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (NodeId, NodeId, PartitionName) {
        let node = |id| NodeId::new(id).unwrap();
        (node("a"), node("b"), PartitionName::new("cart").unwrap())
    }

    #[test]
    fn the_oldest_are_forgotten_and_memory_stays_bounded() {
        let (a, _, cart) = names();
        let (held, now) = (Held::new(10_000), Instant::now());
        for id in 0..1_000 {
            held.holds(SessionId(id), &a, &cart, Version(1), now);
            // This one is used all the time.
            assert_eq!(held.moving(SessionId(0), &a, now).len(), 1, "{id}");
        }
        let (sessions, bytes) = held.size();
        assert!(
            (10..100).contains(&sessions) && bytes <= 10_000,
            "{sessions} {bytes}"
        );
        assert!(
            held.moving(SessionId(1), &a, now).is_empty(),
            "it was not used since"
        );
        assert_eq!(held.moving(SessionId(999), &a, now).len(), 1);
        held.forgets(SessionId(999), &a);
        assert!(held.moving(SessionId(999), &a, now).is_empty());
        (0..1_000).for_each(|id| held.forgets(SessionId(id), &a));
        assert_eq!(held.size(), (0, 0));
    }

    #[test]
    fn what_was_told_in_this_move_is_new_until_the_session_moves_on() {
        let (a, b, cart) = names();
        let (held, now) = (Held::new(10_000), Instant::now());
        let is_new = |node| {
            held.moving(SessionId(1), node, now)
                .get(&cart)
                .map(|known| known.is_new)
        };
        held.holds(SessionId(1), &a, &cart, Version(1), now);
        assert_eq!(is_new(&a), Some(true));
        assert_eq!(is_new(&b), None);
        assert_eq!(is_new(&a), Some(false));
        held.holds(SessionId(1), &a, &cart, Version(2), now);
        for (after, is_new) in [(NEW_FOR / 2, true), (NEW_FOR, false)] {
            let known = held.moving(SessionId(1), &a, now + after);
            assert_eq!(known[&cart].is_new, is_new, "{after:?}");
        }
        assert_eq!(held.holders(SessionId(1)), [a]);
    }

    #[test]
    fn who_served_a_session_may_hold_it_until_it_says_otherwise() {
        let (a, b, cart) = names();
        let (held, now) = (Held::new(10_000), Instant::now());
        held.served(SessionId(1), a.clone());
        held.served(SessionId(1), b.clone());
        held.holds(SessionId(1), &b, &cart, Version(1), now);
        assert_eq!(held.holders(SessionId(1)), [a.clone(), b.clone()]);
        assert!(
            held.moving(SessionId(1), &a, now).is_empty(),
            "nothing is known of it"
        );
        held.forgets(SessionId(1), &b);
        assert_eq!(held.holders(SessionId(1)), std::slice::from_ref(&a));
        held.forgets(SessionId(1), &a);
        assert_eq!((held.holders(SessionId(1)), held.size()), (Vec::new(), (0, 0)));
    }

    #[test]
    fn parts_that_were_left_out_are_known_from_the_acknowledgement_on() {
        let (a, _, cart) = names();
        let left =
            |names: &[&'static str]| -> BTreeSet<_> { names.iter().map(|n| Bytes::from(*n)).collect() };
        for (told, acknowledged, known) in [
            (&[(5, &[][..])][..], 5, Some(left(&[]))),
            (&[(5, &["x"])], 5, Some(left(&["x"]))),
            // Of another version than it was told: what it lacks is not known, and it may hold anything.
            (&[(5, &["x"])], 6, None),
            (&[(5, &["x"]), (6, &["y"])], 6, Some(left(&["y"]))),
            (&[(5, &["x"]), (5, &["y"])], 5, Some(left(&["x", "y"]))),
            (&[(5, &["x"]), (5, &[])], 5, Some(left(&["x"]))),
            (&[(5, &["x"]), (7, &[])], 7, Some(left(&[]))),
        ] {
            let (held, now) = (Held::new(10_000), Instant::now());
            for (version, parts) in told {
                held.told(SessionId(1), &a, &cart, Version(*version), &left(parts));
            }
            held.holds(SessionId(1), &a, &cart, Version(acknowledged), now);
            let found = held.moving(SessionId(1), &a, now).remove(&cart);
            let found = found.filter(|found| found.version > Version(0));
            assert_eq!(found.map(|found| found.left), known, "{told:?}");
        }
    }

    #[test]
    fn what_was_told_and_not_acknowledged_may_be_held_or_not() {
        let (a, _, cart) = names();
        let (held, now) = (Held::new(10_000), Instant::now());
        let known = || {
            held.moving(SessionId(1), &a, now)
                .remove(&cart)
                .map(|known| known.version)
        };
        let x = BTreeSet::from([Bytes::from("x")]);
        held.told(SessionId(1), &a, &cart, Version(5), &BTreeSet::new());
        assert_eq!(known(), Some(Version(0)));
        held.holds(SessionId(1), &a, &cart, Version(5), now);
        assert_eq!(known(), Some(Version(5)));
        held.told(SessionId(1), &a, &cart, Version(6), &BTreeSet::new());
        assert_eq!(
            known(),
            Some(Version(5)),
            "5, or 6, which a change since 5 suits too"
        );
        held.told(SessionId(1), &a, &cart, Version(7), &x);
        assert_eq!(known(), Some(Version(0)), "if it took 7, it lacks x");
        held.holds(SessionId(1), &a, &cart, Version(0), now);
        assert_eq!(known(), None);
    }
}
