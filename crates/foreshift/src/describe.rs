//! Moves, nodes and reasons in words.

use anstyle::AnsiColor;
use foreshift_wire::{
    Answer, Ejection, Move, MoveFailure, MoveReason, MoveState, NodeState, NodeView, StayReason, Told, Unit,
};

use crate::output::{Output, name, time_of_day};

/// A unit, as in `key user-7` or `bucket 512`.
pub(crate) fn unit(unit: &Unit) -> String {
    match unit {
        Unit::Key { key, session } if key.is_empty() => format!("session {session}"),
        Unit::Key { key, .. } => format!("key {}", printable(key)),
        Unit::Bucket { bucket } => format!("bucket {bucket}"),
    }
}

/// Client-made text without control characters, so that it cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Why a move was planned.
pub(crate) fn reason(reason: &MoveReason) -> String {
    match reason {
        MoveReason::PredictedOverload {
            predicted,
            in_ms,
            threshold,
        } => {
            let seconds = *in_ms as f64 / 1_000.0;
            format!("predicted {predicted:.0} over {threshold:.0} in {seconds:.1} s")
        }
        MoveReason::CurrentOverload { score, threshold } => format!("load {score:.0} over {threshold:.0}"),
        MoveReason::Drain => "drain".into(),
        MoveReason::Operator => "operator".into(),
    }
}

/// How a move is going or ended.
pub(crate) fn outcome(made: &Move) -> String {
    let Some(outcome) = &made.outcome else {
        return String::new();
    };
    let ended = match &outcome.failure {
        Some(failure) => self::failure(failure),
        None if outcome.connections == 0 => String::new(),
        None => {
            format!(
                "{} switched, pause {:.1} ms",
                outcome.connections,
                outcome.pause_us_max as f64 / 1_000.0
            )
        }
    };
    match &outcome.told {
        None => ended,
        Some(told) if ended.is_empty() => self::told(told),
        Some(told) => format!("{ended}; {}", self::told(told)),
    }
}

/// What clients did that were told to move.
fn told(told: &Told) -> String {
    let after = told.delay_ms as f64 / 1_000.0;
    match &told.answer {
        Answer::Instructed => format!("client instructed, delay {after:.1} s"),
        Answer::FellBack { detail } => format!("client told, fell back: {}", printable(detail)),
    }
}

fn failure(failure: &MoveFailure) -> String {
    let code = name(failure).replace('_', " ");
    match failure {
        MoveFailure::Connect { detail }
        | MoveFailure::Handoff { detail }
        | MoveFailure::Replay { detail }
        | MoveFailure::Fence { detail }
        | MoveFailure::Resume { detail }
        | MoveFailure::Handshake { detail }
        | MoveFailure::Unmovable { detail }
        | MoveFailure::Cancelled { detail }
        | MoveFailure::Deadline { step: detail } => format!("{code}: {}", printable(detail)),
        MoveFailure::OldNodeLost => code,
    }
}

/// A move on one line.
pub(crate) fn one_move(out: &Output, made: &Move) -> String {
    let line = format!(
        "{} {} → {} ({}) {} {}",
        unit(&made.unit),
        made.from,
        made.to,
        reason(&made.reason),
        move_state(out, made.state),
        outcome(made),
    );
    line.trim_end().to_owned()
}

/// A move's state, coloured.
pub(crate) fn move_state(out: &Output, state: MoveState) -> String {
    let colour = match state {
        MoveState::Advised => AnsiColor::Cyan,
        MoveState::Moving => AnsiColor::Yellow,
        MoveState::Done => AnsiColor::Green,
        MoveState::Failed => AnsiColor::Red,
    };
    out.paint(colour, &name(&state))
}

/// A node's state, coloured.
pub(crate) fn node_state(out: &Output, state: NodeState) -> String {
    let colour = match state {
        NodeState::Ready => AnsiColor::Green,
        NodeState::Joining | NodeState::Draining => AnsiColor::Yellow,
        NodeState::Down => AnsiColor::Red,
    };
    out.paint(colour, &name(&state))
}

/// A score, red at the threshold and yellow close to it.
pub(crate) fn score(out: &Output, score: Option<f64>, threshold: f64) -> String {
    let text = crate::output::number(score);
    match score {
        Some(score) if score >= threshold => out.paint(AnsiColor::Red, &text),
        Some(score) if score >= threshold * 0.85 => out.paint(AnsiColor::Yellow, &text),
        _ => text,
    }
}

/// The highest predicted score: the capacity score turned round.
pub(crate) fn predicted(node: &NodeView) -> Option<f64> {
    node.capacity_score.map(|capacity| 100.0 - capacity)
}

/// Why something was left alone.
pub(crate) fn stay(reason: StayReason) -> &'static str {
    match reason {
        StayReason::UnderThreshold => "stays under the threshold",
        StayReason::WithinDeadZone => "close to the pool's mean, moving would not help",
        StayReason::CoolingDown => "moved a short while ago",
        StayReason::WouldPingPong => "keys went the other way a short while ago",
        StayReason::NoRoom => "no other node has room for it",
        StayReason::CostsMoreThanItGains => "costs more than it gains",
        StayReason::MoveLimit => "enough moves for this round",
        StayReason::EnoughMoved => "half the excess is on its way already",
        StayReason::Pinned => "pinned",
        StayReason::AlreadyMoving => "is being moved",
        StayReason::BackingOff => "its last hand-over failed, backing off",
        StayReason::NothingToMove => "nothing that could be moved makes up its load",
        StayReason::TooYoung => "measured too little yet",
    }
}

/// Why a node does not do all that it could.
pub(crate) fn why(node: &NodeView) -> String {
    let ejected = node.ejected.as_ref().map(ejection);
    let starting = node
        .slow_start_share
        .map(|share| format!("starts slowly, {:.0} % so far", share * 100.0));
    let reason = node.state_reason.as_deref().map(printable);
    let all: Vec<String> = [reason, ejected, starting].into_iter().flatten().collect();
    all.join("; ")
}

/// Until when and why a node is left out.
pub(crate) fn ejection(ejected: &Ejection) -> String {
    let until = time_of_day(ejected.until_ms);
    format!("ejected until {until}: {}", printable(&ejected.reason))
}
