//! What the operator may set about planning.

use foreshift_wire::Pool;

/// Threshold and brakes of the planner. [`Default`] has the values of a fresh configuration.
///
/// Score points are those of the load score: 0 to 100, and above 100 in overload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannerSettings {
    /// Load score that no node should cross, 1 to 100.
    pub load_threshold: f64,
    /// How far under the threshold a relieved node is brought, and any target kept, in score points.
    pub headroom: f64,
    /// A node this close over the pool's mean is left alone, and none is filled beyond it; 0.15 is 15 % of the
    /// mean. Draining ignores it: those units have to go somewhere.
    pub dead_zone: f64,
    /// Share of a node's excess that one round may move, above 0 to 1.
    pub excess_share: f64,
    /// Moves of one plan at most. A quarter is kept for draining nodes while there are any.
    pub max_moves_per_tick: u32,
    /// A key or bucket moves at most once in this time, and a pair of nodes exchanges units in one direction only.
    pub migration_interval_ms: u64,
    /// A move must take off more score points than this factor of its cost.
    pub gain_factor: f64,
    /// Weight of disruption in a move's cost: the cost is this times the unit's share of its node's open streams and
    /// state, times the node's score. A disturbance is over in milliseconds and the relief lasts, hence far under 1.
    /// With 0.25 and a factor of 2, a unit may move when its share of the load is over half its share of the
    /// disruption (Karpenter's *Balanced* consolidation uses the same rule and the same 1/2).
    pub disruption_weight: f64,
    /// Bytes of state that disturb as much as one open stream.
    pub state_bytes_per_stream: u64,
    /// Score points by which a target in another zone must be better than the best one in the unit's own.
    pub zone_preference: f64,
    /// How long measured scores take to show a move, in milliseconds.
    pub measure_lag_ms: u64,
    /// How long forecasts take to learn of a move, in milliseconds. Until then what left is taken off the
    /// forecast, and what came is added; after twice that time no more.
    pub settle_ms: u64,
    /// How long a unit is left alone after its first failed hand-over; doubles with each further one.
    pub back_off_ms: u64,
    /// The longest back-off.
    pub back_off_max_ms: u64,
    /// Units left alone that a plan names for each source, heaviest first.
    pub stays_per_node: usize,
}

impl PlannerSettings {
    /// The score that relieved nodes come down to and targets stay under.
    pub(super) fn goal(&self) -> f64 {
        self.load_threshold - self.headroom
    }
}

impl From<&Pool> for PlannerSettings {
    /// What the pool's configuration sets; the rest as by default.
    fn from(pool: &Pool) -> Self {
        let millis = pool.migration_interval.get().as_millis();
        Self {
            load_threshold: pool.load_threshold,
            headroom: pool.headroom,
            max_moves_per_tick: pool.max_moves_per_tick,
            migration_interval_ms: u64::try_from(millis).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }
}

impl Default for PlannerSettings {
    fn default() -> Self {
        Self {
            load_threshold: 80.0,
            headroom: 5.0,
            dead_zone: 0.15,
            excess_share: 0.5,
            max_moves_per_tick: 200,
            migration_interval_ms: 30_000,
            gain_factor: 2.0,
            disruption_weight: 0.25,
            state_bytes_per_stream: 256 * 1024,
            zone_preference: 1.0,
            measure_lag_ms: 1_500,
            settle_ms: 5_000,
            back_off_ms: 10_000,
            back_off_max_ms: 300_000,
            stays_per_node: 8,
        }
    }
}
