//! What each node is expected to come to, and what the pool's mean makes of it.

use foreshift_wire::{MoveReason, NodeState};

use super::{
    history::History,
    settings::PlannerSettings,
    view::{PlanNode, Predicted},
};

/// The pool's expected scores, with the limits that follow from them.
pub(super) struct Scores {
    /// What makes a node one to relieve, one element a node; `None` where too little was measured. Never negative.
    pub(super) expected: Vec<Option<f64>>,
    /// What it counts with as a place to move to: never more than the former.
    pub(super) likely: Vec<Option<f64>>,
    /// Upper edge of the dead zone around the ready nodes' mean.
    pub(super) dead_zone: f64,
}

impl Scores {
    pub(super) fn new(
        now_ms: u64,
        nodes: &[PlanNode],
        history: &History,
        settings: &PlannerSettings,
    ) -> Self {
        let of_all = |path: fn(&Predicted) -> f64| -> Vec<_> {
            let highest = |node| highest(now_ms, node, path, history, settings);
            nodes.iter().map(highest).collect()
        };
        let (expected, likely) = (of_all(|p| p.peak), of_all(|p| p.likely.min(p.peak)));
        let ready = nodes
            .iter()
            .zip(&expected)
            .filter(|(node, _)| node.state == NodeState::Ready);
        let known: Vec<f64> = ready.filter_map(|(_, score)| *score).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        Self {
            expected,
            likely,
            dead_zone: mean * (1.0 + settings.dead_zone),
        }
    }

    /// True for a node to relieve: over the threshold, and by more than the pool as a whole is.
    pub(super) fn is_over(&self, node: usize, settings: &PlannerSettings) -> bool {
        self.expected[node].is_some_and(|score| score > settings.load_threshold.max(self.dead_zone))
    }
}

/// The highest load score within the horizon, as far as anyone can tell.
///
/// The score now counts besides the forecast: a node that is full is no target because it is expected to empty,
/// and one that nobody saw coming has to be relieved. What moved lately is added to either, as long as it does
/// not show there.
fn highest(
    now_ms: u64,
    node: &PlanNode,
    path: fn(&Predicted) -> f64,
    history: &History,
    settings: &PlannerSettings,
) -> Option<f64> {
    let seen = |score: f64, lag_ms: u64| score + history.unseen(now_ms, &node.id, lag_ms);
    let now = node.score_now.map(|score| seen(score, settings.measure_lag_ms));
    let predicted = node
        .predicted
        .filter(|_| !node.gated)
        .map(|p| seen(path(&p), settings.settle_ms));
    let highest = now
        .into_iter()
        .chain(predicted)
        .filter(|score| score.is_finite())
        .reduce(f64::max);
    // Adding zero makes a plus of a minus zero, whose bits would sort above all.
    highest.map(|score| score.max(0.0) + 0.0)
}

/// Why a node over the threshold is relieved.
pub(super) fn reason(node: &PlanNode, settings: &PlannerSettings) -> MoveReason {
    let threshold = settings.load_threshold;
    match (node.predicted, node.score_now) {
        (Some(predicted), now) if !node.gated && now.is_none_or(|score| score <= threshold) => {
            MoveReason::PredictedOverload {
                predicted: predicted.peak,
                in_ms: predicted.crosses_in_ms.unwrap_or(0),
                threshold,
            }
        }
        (_, now) => MoveReason::CurrentOverload {
            score: now.unwrap_or(0.0),
            threshold,
        },
    }
}
