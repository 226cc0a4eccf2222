//! What a plan is made from: one moment of one pool.

use foreshift_wire::{Capacity, Move, MoveId, NodeId, NodeState, PoolName, Unit};

use super::load;
use crate::NodeIndex;

/// One moment of one pool.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The pool.
    pub pool: &'a PoolName,
    /// All its nodes, whatever their state.
    pub nodes: &'a [PlanNode],
    /// What could be moved, each once: the heavy keys and hot buckets of nodes over the threshold, and what is left
    /// on draining ones. A bucket's load is without that of its keys that have an override or are in this list.
    pub units: &'a [PlanUnit],
    /// Number of the plan's first move.
    pub next_move: MoveId,
}

impl PlanView<'_> {
    pub(super) fn node(&self, id: &NodeId) -> Option<&PlanNode> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// Score points that a move brings to its target, from those that it takes off its source.
    pub(super) fn arriving(&self, of: &Move) -> f64 {
        let ratio = self
            .node(&of.from)
            .zip(self.node(&of.to))
            .map(|(from, to)| load::ratio(from, to));
        of.benefit * ratio.unwrap_or(1.0)
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanNode {
    /// Unique in the view.
    pub id: NodeId,
    /// Only `ready` nodes are relieved and only they are targets; `draining` ones are emptied.
    pub state: NodeState,
    /// Failure domain.
    pub zone: String,
    /// Its size relative to the others, where no capacity tells it.
    pub weight: f64,
    /// What it can carry.
    pub capacity: Capacity,
    /// The signal that makes its load score.
    pub bottleneck: Bottleneck,
    /// Client connections and streams open to it, where known. Without it, the units in the view count as all that
    /// the node has.
    pub open_streams: Option<u64>,
    /// Load score as measured; `None` while nothing was.
    pub score_now: Option<f64>,
    /// Highest predicted load score within the horizon, at the trigger quantile; `None` while it is too young.
    pub predicted: Option<Predicted>,
    /// Its recent forecasts were worse than "the load stays as it is": only `score_now` counts.
    pub gated: bool,
}

/// A node's forecast, as far as a plan needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Highest load score within the horizon, at the trigger quantile: what makes it one to relieve.
    pub peak: f64,
    /// Highest load score within the horizon, as likely as not: what it counts with as a place to move to. The
    /// tails of all nodes' forecasts together would leave no room anywhere, where a surge may come to any of them.
    pub likely: f64,
    /// When the path is first over the threshold, in milliseconds from now; `None` where it never is.
    pub crosses_in_ms: Option<u64>,
}

/// The signal that makes a node's load score, hence the one by which its units are weighed on another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bottleneck {
    /// Requests in flight against `capacity.requests_in_flight`.
    InFlight,
    /// Open connections against `capacity.connections`.
    Connections,
    /// Requests per second against `capacity.requests_per_second`.
    RequestsPerSecond,
    /// Bytes per second against `capacity.bytes_per_second`.
    BytesPerSecond,
    /// A share without an absolute size: CPU, memory, reported utilisation, response time. Compared by weight.
    Relative,
}

/// Something that could be moved.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanUnit {
    /// The key or bucket.
    pub unit: Unit,
    /// Where it lives: index into [`PlanView::nodes`] (with nodes in the map's order, the map's own index).
    pub node: NodeIndex,
    /// Score points of its node that it makes up, as predicted where that is known.
    pub load: f64,
    /// What it asks of any node, in absolute figures; zeros where not measured.
    pub demand: Demand,
    /// State that its hand-over carries, in bytes.
    pub state_bytes: u64,
    /// Open connections and streams that its hand-over switches.
    pub open_streams: u32,
    /// When it last moved, where metadata knows; the [`super::History`] is asked besides.
    pub last_moved_ms: Option<u64>,
    /// The operator pinned it.
    pub pinned: bool,
    /// A move of it is under way.
    pub moving: bool,
}

/// What a unit asks of a node. Kept apart from its load, because what is idle on a node that is short of CPU may
/// be a burden to one that is short of connections.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Demand {
    /// Requests and messages per second.
    pub requests_per_s: f64,
    /// Requests in flight, on average.
    pub in_flight: f64,
    /// Bytes per second, both directions.
    pub bytes_per_s: f64,
}
