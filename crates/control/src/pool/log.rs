//! The moves of a pool: those under way, and the last ones that ended.
//!
//! Bounded: the last [`MOVES_IN_MEMORY`] for the API, the last [`MOVES_IN_METADATA`] kept over a restart.

use std::collections::{BTreeMap, VecDeque};

use foreshift_wire::{Move, MoveId, MoveState, SessionId, Unit};

/// Moves that the API can show.
pub(super) const MOVES_IN_MEMORY: usize = 10_000;
/// Moves that metadata keeps, apart from those under way.
pub(super) const MOVES_IN_METADATA: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct MoveLog {
    next: u64,
    /// Rising by id. Those under way are here too, so that the API shows one list.
    moves: VecDeque<Move>,
    active: BTreeMap<MoveId, Unit>,
    /// Ids that metadata holds, rising.
    stored: VecDeque<MoveId>,
}

impl MoveLog {
    /// What a former run left, oldest first.
    pub(super) fn restore(moves: Vec<Move>) -> Self {
        let mut log = Self {
            next: moves.last().map_or(1, |last| last.id.0 + 1),
            ..Self::default()
        };
        for made in moves {
            log.stored.push_back(made.id);
            log.push(made);
        }
        log
    }

    /// The id of the next move.
    pub(super) fn next_id(&self) -> MoveId {
        MoveId(self.next)
    }

    /// Takes in moves that metadata has now; they have the ids from [`Self::next_id`] on.
    pub(super) fn record(&mut self, made: Move) {
        self.stored.push_back(made.id);
        self.push(made);
    }

    /// Takes in a move that is only shown.
    pub(super) fn show(&mut self, made: Move) {
        self.push(made);
    }

    fn push(&mut self, made: Move) {
        self.next = self.next.max(made.id.0 + 1);
        if made.state == MoveState::Moving {
            self.active.insert(made.id, made.unit.clone());
        }
        if self.moves.len() >= MOVES_IN_MEMORY {
            self.moves.pop_front();
        }
        self.moves.push_back(made);
    }

    /// A move that is under way.
    pub(super) fn active(&self, id: MoveId) -> Option<&Move> {
        self.active.get(&id)?;
        self.find(id)
    }

    fn find(&self, id: MoveId) -> Option<&Move> {
        let at = self.moves.binary_search_by_key(&id, |made| made.id).ok()?;
        self.moves.get(at)
    }

    /// Puts a move as it ended.
    pub(super) fn end(&mut self, ended: Move) {
        self.active.remove(&ended.id);
        if let Ok(at) = self.moves.binary_search_by_key(&ended.id, |made| made.id) {
            self.moves[at] = ended;
        }
    }

    /// Moves under way, oldest first.
    pub(super) fn all_active(&self) -> impl Iterator<Item = &Move> {
        self.active.keys().filter_map(|id| self.find(*id))
    }

    pub(super) fn active_count(&self) -> usize {
        self.active.len()
    }

    /// Whether a key or its bucket is being moved.
    pub(super) fn is_moving(&self, session: SessionId) -> bool {
        self.active.values().any(|unit| match unit {
            Unit::Key { session: moving, .. } => *moving == session,
            Unit::Bucket { bucket } => *bucket == session.bucket(),
        })
    }

    /// Units that are being moved.
    pub(super) fn units(&self) -> impl Iterator<Item = &Unit> {
        self.active.values()
    }

    /// The newest first.
    pub(super) fn newest(&self, limit: usize) -> Vec<Move> {
        self.moves.iter().rev().take(limit).cloned().collect()
    }

    /// Moves that metadata need not keep any longer, `coming` more being about to be written.
    pub(super) fn to_forget(&self, coming: usize) -> Vec<MoveId> {
        let excess = (self.stored.len() + coming).saturating_sub(MOVES_IN_METADATA);
        let ended = self.stored.iter().filter(|id| !self.active.contains_key(id));
        ended.take(excess).copied().collect()
    }

    /// Metadata no longer has these.
    pub(super) fn forgotten(&mut self, ids: &[MoveId]) {
        for id in ids {
            if let Ok(at) = self.stored.binary_search(id) {
                self.stored.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{MoveReason, NodeId, PoolName};

    use super::*;

    fn made(id: u64, state: MoveState) -> Move {
        Move {
            id: MoveId(id),
            pool: PoolName::new("app").unwrap(),
            unit: Unit::Bucket { bucket: id as u16 },
            from: NodeId::new("a").unwrap(),
            to: NodeId::new("b").unwrap(),
            reason: MoveReason::Operator,
            benefit: 0.0,
            cost: 0.0,
            priority: 0,
            planned_ms: id,
            state,
            outcome: None,
        }
    }

    #[test]
    fn both_bounds_hold_and_what_is_under_way_stays_in_metadata() {
        let mut log = MoveLog::restore(vec![made(7, MoveState::Moving)]);
        assert_eq!(log.next_id(), MoveId(8));
        for id in 8..8 + 12_000 {
            let forget = log.to_forget(1);
            log.forgotten(&forget);
            log.record(made(id, MoveState::Done));
        }
        assert_eq!(log.moves.len(), MOVES_IN_MEMORY);
        assert_eq!(log.stored.len(), MOVES_IN_METADATA);
        assert_eq!(log.stored.front(), Some(&MoveId(7)));
        assert_eq!(log.newest(1)[0].id, MoveId(8 + 12_000 - 1));
        assert_eq!(log.next_id(), MoveId(8 + 12_000));
    }

    #[test]
    fn a_key_is_moving_while_it_or_its_bucket_is() {
        let mut log = MoveLog::restore(vec![made(1, MoveState::Moving)]);
        assert!(log.is_moving(SessionId(1 << 112)));
        assert!(!log.is_moving(SessionId(2 << 112)));
        log.end(made(1, MoveState::Done));
        assert!(!log.is_moving(SessionId(1 << 112)));
        assert_eq!(log.newest(9)[0].state, MoveState::Done);
    }
}
