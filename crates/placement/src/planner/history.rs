//! What was moved lately, so that the next plan does not undo or repeat it.
//!
//! Three memories, each bounded and each expiring: when a unit last moved and which pairs of nodes exchanged units
//! (cool-down, no ping-pong); which units failed (back-off); and how many score points went from where to where
//! that neither the measured scores nor the forecasts show yet. Without the last, a planner that runs twice a
//! second would move half of the same excess again and again while the forecast still expects a surge of keys
//! that have left.

use std::collections::{HashMap, VecDeque};

use foreshift_wire::{Move, NodeId, SessionId, Unit};

use super::{
    recent::{Recent, within},
    settings::PlannerSettings,
    view::PlanView,
};

/// Moves, pairs and failures that are remembered at most; the oldest are forgotten first.
const ENTRIES_MAX: usize = 65_536;

/// Steps into which the time of one shift is rounded, so that a node's list of them stays short.
const SLOTS: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum UnitKey {
    Key(SessionId),
    Bucket(u16),
}

impl From<&Unit> for UnitKey {
    fn from(unit: &Unit) -> Self {
        match unit {
            Unit::Key { session, .. } => Self::Key(*session),
            Unit::Bucket { bucket } => Self::Bucket(*bucket),
        }
    }
}

/// Score points that came (or, negative, left), by the time at which they did.
type Shifts = VecDeque<(u64, f64)>;

/// Memory of one pool's moves. Not persistent: after a restart, tell it the recent moves that metadata has.
#[derive(Debug, Clone)]
pub struct History {
    moved: Recent<UnitKey, ()>,
    /// The value is how often in a row.
    failed: Recent<UnitKey, u32>,
    /// From, to.
    pairs: Recent<(NodeId, NodeId), ()>,
    shifts: HashMap<NodeId, Shifts>,
    slot_ms: u64,
    shifts_keep_ms: u64,
    sweep_ms: u64,
}

impl History {
    /// Nothing happened yet. Remembers for as long as `settings` asks about the past.
    pub fn new(settings: &PlannerSettings) -> Self {
        let slot_ms = (settings.settle_ms / SLOTS).max(1);
        Self {
            moved: Recent::new(settings.migration_interval_ms, ENTRIES_MAX),
            failed: Recent::new(settings.back_off_max_ms.saturating_mul(2), ENTRIES_MAX),
            pairs: Recent::new(settings.migration_interval_ms, ENTRIES_MAX),
            shifts: HashMap::new(),
            slot_ms,
            shifts_keep_ms: settings.settle_ms.max(settings.measure_lag_ms).saturating_mul(2) + slot_ms,
            sweep_ms: 0,
        }
    }

    /// A move was committed (by a plan or by the operator), at its `planned_ms`.
    pub fn started(&mut self, of: &Move, view: &PlanView<'_>) {
        let at = of.planned_ms;
        self.moved.put(at, (&of.unit).into(), ());
        self.pairs.put(at, (of.from.clone(), of.to.clone()), ());
        self.shift(at, &of.from, -of.benefit);
        self.shift(at, &of.to, view.arriving(of));
    }

    /// A move ended well: earlier failures of its unit are forgotten.
    pub fn done(&mut self, of: &Move) {
        self.failed.remove(&(&of.unit).into());
    }

    /// A move failed: its load stays where it was, and its unit backs off from `now_ms` on (it does not cool down,
    /// since it did not move).
    pub fn failed(&mut self, now_ms: u64, of: &Move, view: &PlanView<'_>) {
        let unit = (&of.unit).into();
        self.moved.remove(&unit);
        let failures = self.failed.get(&unit).map_or(0, |(_, count)| *count);
        self.failed.put(now_ms, unit, failures.saturating_add(1));
        self.shift(of.planned_ms, &of.from, of.benefit);
        self.shift(of.planned_ms, &of.to, -view.arriving(of));
    }

    fn shift(&mut self, at_ms: u64, node: &NodeId, points: f64) {
        if points == 0.0 || !points.is_finite() {
            return;
        }
        self.sweep(at_ms);
        // Rounded up: better seen a little too long than forgotten too early.
        let slot = at_ms.div_ceil(self.slot_ms).saturating_mul(self.slot_ms);
        let shifts = self.shifts.entry(node.clone()).or_default();
        match shifts.iter_mut().find(|(at, _)| *at == slot) {
            Some((_, sum)) => *sum += points,
            None => shifts.push_back((slot, points)),
        }
        // Only a clock that runs backwards could make more slots than the span holds.
        if shifts.len() > 64 {
            shifts.pop_front();
        }
    }

    fn sweep(&mut self, now_ms: u64) {
        if within(now_ms, self.sweep_ms, self.slot_ms) {
            return;
        }
        self.sweep_ms = now_ms;
        let keep = self.shifts_keep_ms;
        self.shifts.retain(|_, shifts| {
            shifts.retain(|(at, _)| within(now_ms, *at, keep));
            !shifts.is_empty()
        });
    }

    /// Points that came to a node lately and that a figure which takes `lag_ms` to learn of it does not show: in
    /// full during that time, then fading until twice of it.
    pub(super) fn unseen(&self, now_ms: u64, node: &NodeId, lag_ms: u64) -> f64 {
        let Some(shifts) = self.shifts.get(node) else {
            return 0.0;
        };
        let fade = |at: u64| (2.0 - now_ms.abs_diff(at) as f64 / lag_ms.max(1) as f64).clamp(0.0, 1.0);
        shifts.iter().map(|(at, points)| points * fade(*at)).sum()
    }

    /// True where the unit moved within `interval_ms`; for a key also where its bucket did.
    pub(super) fn moved_within(&self, now_ms: u64, unit: &Unit, interval_ms: u64) -> bool {
        let lately = |key: UnitKey| {
            self.moved
                .get(&key)
                .is_some_and(|(at, ())| within(now_ms, *at, interval_ms))
        };
        match unit {
            Unit::Key { session, .. } => {
                lately(UnitKey::Key(*session)) || lately(UnitKey::Bucket(session.bucket()))
            }
            Unit::Bucket { bucket } => lately(UnitKey::Bucket(*bucket)),
        }
    }

    /// True while the unit's last failure is less than its back-off ago.
    pub(super) fn backing_off(&self, now_ms: u64, unit: &Unit, settings: &PlannerSettings) -> bool {
        let Some((at, failures)) = self.failed.get(&unit.into()) else {
            return false;
        };
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        let wait = settings
            .back_off_ms
            .saturating_mul(doubled)
            .min(settings.back_off_max_ms);
        within(now_ms, *at, wait)
    }

    /// Pairs (from, to) that something moved along within `interval_ms`, in no particular order.
    pub(super) fn pairs(&self, now_ms: u64, interval_ms: u64) -> impl Iterator<Item = (&NodeId, &NodeId)> {
        let recent = self
            .pairs
            .iter()
            .filter(move |(_, at)| within(now_ms, *at, interval_ms));
        recent.map(|((from, to), _)| (from, to))
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{MoveId, MoveReason, MoveState, PoolName};

    use super::*;

    const VIEW: fn(&PoolName) -> PlanView<'_> = |pool| PlanView {
        pool,
        nodes: &[],
        units: &[],
        next_move: MoveId(1),
    };

    fn pool() -> PoolName {
        PoolName::new("app").expect("a name")
    }

    fn id(name: &str) -> NodeId {
        NodeId::new(name).expect("a name")
    }

    fn a_move(bucket: u16, planned_ms: u64) -> Move {
        Move {
            id: MoveId(1),
            pool: pool(),
            unit: Unit::Bucket { bucket },
            from: id("a"),
            to: id("b"),
            reason: MoveReason::Drain,
            benefit: 4.0,
            cost: 0.0,
            priority: 0,
            planned_ms,
            state: MoveState::Moving,
            outcome: None,
        }
    }

    #[test]
    fn what_moved_is_unseen_in_full_then_fades_and_a_failure_takes_it_back() {
        let mut history = History::new(&PlannerSettings::default());
        history.started(&a_move(1, 10_000), &VIEW(&pool()));
        for (now, expected) in [
            (10_000, 4.0),
            (14_900, 4.0),
            (17_500, 2.0),
            (20_000, 0.0),
            (90_000, 0.0),
        ] {
            assert_eq!(history.unseen(now, &id("b"), 5_000), expected, "{now}");
            assert_eq!(history.unseen(now, &id("a"), 5_000), -expected, "{now}");
        }
        history.failed(11_000, &a_move(1, 10_000), &VIEW(&pool()));
        assert_eq!(history.unseen(11_000, &id("a"), 5_000), 0.0);
    }

    #[test]
    fn each_failure_doubles_the_back_off_up_to_its_limit_and_success_ends_it() {
        let settings = PlannerSettings::default();
        let mut history = History::new(&settings);
        let unit = Unit::Bucket { bucket: 1 };
        for (failures, wait) in [
            (1, 10_000),
            (2, 20_000),
            (3, 40_000),
            (4, 80_000),
            (5, 160_000),
            (6, 300_000),
            (7, 300_000),
        ] {
            let now = failures * 1_000_000;
            // Failures further apart than twice the longest back-off would be forgotten: keep them close.
            let now = 1_000_000 + (now - 1_000_000) / 10;
            history.failed(now, &a_move(1, now), &VIEW(&pool()));
            assert!(
                history.backing_off(now + wait - 1, &unit, &settings),
                "{failures}"
            );
            assert!(!history.backing_off(now + wait, &unit, &settings), "{failures}");
        }
        history.done(&a_move(1, 0));
        assert!(!history.backing_off(1_600_000, &unit, &settings));
    }

    #[test]
    fn what_failed_to_move_backs_off_but_does_not_cool_down() {
        let (settings, unit) = (PlannerSettings::default(), Unit::Bucket { bucket: 1 });
        let mut history = History::new(&settings);
        history.started(&a_move(1, 1_000), &VIEW(&pool()));
        assert!(history.moved_within(2_000, &unit, 30_000));
        history.failed(2_000, &a_move(1, 1_000), &VIEW(&pool()));
        assert!(!history.moved_within(3_000, &unit, 30_000));
        assert!(history.backing_off(3_000, &unit, &settings));
    }

    #[test]
    fn a_key_cools_down_with_its_bucket() {
        let mut history = History::new(&PlannerSettings::default());
        history.started(&a_move(7, 1_000), &VIEW(&pool()));
        let key = |bucket: u128| Unit::Key {
            session: SessionId(bucket << 112),
            key: String::new(),
        };
        assert!(history.moved_within(2_000, &key(7), 30_000));
        assert!(!history.moved_within(2_000, &key(8), 30_000));
        assert!(!history.moved_within(31_000, &key(7), 30_000));
    }

    #[test]
    fn a_clock_set_back_does_not_forbid_moves_for_long() {
        let mut history = History::new(&PlannerSettings::default());
        history.started(&a_move(7, 10_000_000), &VIEW(&pool()));
        assert!(!history.moved_within(1_000_000, &Unit::Bucket { bucket: 7 }, 30_000));
    }

    #[test]
    fn memory_is_bounded_in_number_and_in_time() {
        let mut history = History::new(&PlannerSettings::default());
        for n in 0..200_000_u64 {
            let mut of = a_move(0, 1_000 + n / 100);
            of.unit = Unit::Key {
                session: SessionId(u128::from(n)),
                key: String::new(),
            };
            history.started(&of, &VIEW(&pool()));
        }
        assert!(history.moved.len() <= ENTRIES_MAX);
        assert_eq!(history.pairs.iter().count(), 1);
        history.started(&a_move(1, 10_000_000), &VIEW(&pool()));
        assert_eq!(
            (
                history.moved.len(),
                history.pairs.len(),
                history.shifts[&id("a")].len()
            ),
            (1, 1, 1)
        );
    }
}
