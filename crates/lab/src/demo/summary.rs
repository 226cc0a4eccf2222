//! What one run came to.

use std::{collections::BTreeMap, fmt};

use foreshift_wire::{Move, MoveId, MoveState, SessionStats};
use serde::Serialize;

use super::{run::Approach, setting::OBJECTIVE_MS};
use crate::{
    BackendStats, Tally,
    load::{Latency, Record},
};

/// The figures of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// `off`, `reactive` or `predictive`.
    pub approach: Approach,
    /// How long the load lasted.
    pub seconds: u32,
    /// Work items answered or failed: WebSocket messages and HTTP requests.
    pub requests: u64,
    /// Work items that failed or were never answered.
    pub errors: u64,
    /// The first of them, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// From the intended send time to the answer.
    pub latency: Latency,
    /// A second is over the objective where the 99th percentile of what was meant to be sent in it is over this.
    pub objective_ms: f64,
    /// How many were.
    pub seconds_over_objective: u32,
    /// What was moved.
    pub moves: MoveCounts,
    /// How long a switched connection's input was held; one sample for each move.
    pub pause: Option<Latency>,
    /// WebSocket messages, both ways.
    pub messages: Tally,
    /// Messages that the nodes received in another order than they were sent.
    pub disorder_at_nodes: u64,
    /// Sessions that came to a node with less in their cart than was put into it.
    pub carts_lost: u64,
    /// What became of the state of sessions that moved.
    pub state: MovedState,
    /// WebSockets that had to be opened again.
    pub reconnects: u64,
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MoveCounts {
    /// Carried out.
    pub done: u64,
    /// Given up; the old node went on.
    pub failed: u64,
    /// Not ended when the run did.
    pub open: u64,
    /// Open connections that were switched.
    pub connections: u64,
}

impl Summary {
    pub(super) fn new(
        approach: Approach,
        seconds: u32,
        record: &Record,
        moves: &BTreeMap<MoveId, Move>,
        nodes: &[BackendStats],
        replayed: &SessionStats,
    ) -> Self {
        let over = record
            .p99_by_second(seconds)
            .into_iter()
            .filter(|p99| *p99 > OBJECTIVE_MS);
        Self {
            approach,
            seconds,
            requests: record.answers() as u64 + record.errors(),
            errors: record.errors(),
            first_error: record.first_failure(),
            latency: record.latency().unwrap_or_default(),
            objective_ms: OBJECTIVE_MS,
            seconds_over_objective: over.count() as u32,
            moves: MoveCounts::of(moves.values()),
            pause: pauses(moves.values()),
            messages: record.tally(),
            disorder_at_nodes: nodes.iter().map(|node| node.disorder).sum(),
            carts_lost: nodes.iter().map(|node| node.carts_lost).sum(),
            state: MovedState::of(replayed),
            reconnects: record.reconnects(),
        }
    }

    /// Name and value of each figure, as people read them.
    pub(super) fn rows(&self) -> Vec<(String, String)> {
        let ms = |value: f64| format!("{value:.1} ms");
        let pause = |of: fn(&Latency) -> f64| {
            self.pause
                .as_ref()
                .map_or("-".into(), |p| format!("{:.2} ms", of(p)))
        };
        let (latency, moves, messages) = (&self.latency, &self.moves, &self.messages);
        let rows = [
            ("requests", self.requests.to_string()),
            ("errors", self.errors.to_string()),
            ("latency p50", ms(latency.p50_ms)),
            ("latency p99", ms(latency.p99_ms)),
            ("latency p99.9", ms(latency.p999_ms)),
            (
                "seconds with p99 over the objective",
                format!("{} of {}", self.seconds_over_objective, self.seconds),
            ),
            ("moves", moves.done.to_string()),
            ("moves given up", moves.failed.to_string()),
            ("connections switched", moves.connections.to_string()),
            ("pause p50", pause(|p| p.p50_ms)),
            ("pause p99", pause(|p| p.p99_ms)),
            ("pause max", pause(|p| p.max_ms)),
            ("messages sent", messages.sent.to_string()),
            ("messages lost", messages.lost.to_string()),
            ("messages duplicated", messages.duplicated.to_string()),
            (
                "messages reordered",
                (messages.reordered + self.disorder_at_nodes).to_string(),
            ),
            ("counters lost", messages.counters_lost.to_string()),
            ("carts lost", self.carts_lost.to_string()),
            ("state: replayed to new nodes", kb(self.state.bytes_sent)),
            ("state: held there already", kb(self.state.bytes_held)),
            ("state: not required there", kb(self.state.bytes_not_required)),
        ];
        rows.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// What became of the state of sessions that moved: bytes of partitions, summed over all moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MovedState {
    /// Sent to the new nodes, as it travelled.
    pub bytes_sent: u64,
    /// Not sent, as the new nodes held it from before.
    pub bytes_held: u64,
    /// Not sent, as the new nodes do not require it.
    pub bytes_not_required: u64,
}

impl MovedState {
    fn of(stats: &SessionStats) -> Self {
        let partitions = stats.partitions.iter().map(|partition| &partition.replay);
        let all = || partitions.clone().chain([&stats.others]);
        Self {
            bytes_sent: all().map(|replay| replay.bytes_sent).sum(),
            bytes_held: all().map(|replay| replay.bytes_held).sum(),
            bytes_not_required: stats.bytes_not_required,
        }
    }
}

fn kb(bytes: u64) -> String {
    format!("{:.1} kB", bytes as f64 / 1e3)
}

impl MoveCounts {
    fn of<'a>(moves: impl Iterator<Item = &'a Move>) -> Self {
        let mut counts = Self::default();
        for each in moves {
            match each.state {
                MoveState::Advised => {}
                MoveState::Moving => counts.open += 1,
                MoveState::Done => counts.done += 1,
                MoveState::Failed => counts.failed += 1,
            }
            counts.connections += each.outcome.as_ref().map_or(0, |o| u64::from(o.connections));
        }
        counts
    }
}

fn pauses<'a>(moves: impl Iterator<Item = &'a Move>) -> Option<Latency> {
    let outcomes = moves
        .filter(|m| m.state == MoveState::Done)
        .filter_map(|m| m.outcome.as_ref());
    Latency::of(
        outcomes
            .filter(|o| o.connections > 0)
            .map(|o| o.pause_us_max)
            .collect(),
    )
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "{name:<38}{value:>14}")?;
        }
        if let Some(error) = &self.first_error {
            writeln!(f, "first error: {error}")?;
        }
        Ok(())
    }
}
