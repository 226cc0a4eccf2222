//! What a unit weighs on which node.
//!
//! A node's score is the highest of its signals, each over its capacity. A unit that makes up ten points of a node
//! with 64 slots makes up five of one with 128. And it may weigh more there by another signal than the one that
//! was the bottleneck here. Both are bounded from above by taking the heavier of the two, since
//! `max(a + x, b + y) <= max(a, b) + max(x, y)`: a target never gets more than was counted.

use super::{
    settings::PlannerSettings,
    view::{Bottleneck, PlanNode, PlanUnit},
};

/// Points on `to` for each point on `from`, by the signal that is `from`'s bottleneck.
pub(super) fn ratio(from: &PlanNode, to: &PlanNode) -> f64 {
    let size = |node: &PlanNode| match from.bottleneck {
        Bottleneck::InFlight => node.capacity.requests_in_flight.map(f64::from),
        Bottleneck::Connections => node.capacity.connections.map(f64::from),
        Bottleneck::RequestsPerSecond => node.capacity.requests_per_second,
        Bottleneck::BytesPerSecond => node.capacity.bytes_per_second,
        Bottleneck::Relative => None,
    };
    let absolute = size(from).zip(size(to)).and_then(|(from, to)| quotient(from, to));
    absolute
        .or_else(|| quotient(from.weight, to.weight))
        .unwrap_or(1.0)
}

fn quotient(from: f64, to: f64) -> Option<f64> {
    let usable = |size: f64| size.is_finite() && size > 0.0;
    (usable(from) && usable(to)).then(|| from / to)
}

/// Points that `unit` brings to `to`, at most. `ratio` is that of its node and `to`.
pub(super) fn arriving(unit: &PlanUnit, to: &PlanNode, ratio: f64) -> f64 {
    (unit.load.max(0.0) * ratio).max(demanded(unit, to))
}

/// Points of the signals that have a capacity on `to`.
fn demanded(unit: &PlanUnit, to: &PlanNode) -> f64 {
    let (capacity, demand) = (&to.capacity, &unit.demand);
    let points = |amount: f64, size: Option<f64>| match size {
        Some(size) if size > 0.0 => amount / size * 100.0,
        _ => 0.0,
    };
    points(demand.in_flight, capacity.requests_in_flight.map(f64::from))
        .max(points(
            f64::from(unit.open_streams),
            capacity.connections.map(f64::from),
        ))
        .max(points(demand.requests_per_s, capacity.requests_per_second))
        .max(points(demand.bytes_per_s, capacity.bytes_per_second))
}

/// How much moving a unit disturbs, in open streams. Never 0: a key with nothing open still costs its hand-over
/// before the next request.
pub(super) fn disruption(unit: &PlanUnit, settings: &PlannerSettings) -> f64 {
    let state = unit.state_bytes as f64 / settings.state_bytes_per_stream.max(1) as f64;
    0.1 + f64::from(unit.open_streams) + state
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{Capacity, NodeState, Unit};

    use super::super::view::Demand;
    use super::*;
    use crate::NodeIndex;

    fn node(
        bottleneck: Bottleneck,
        weight: f64,
        in_flight: Option<u32>,
        connections: Option<u32>,
    ) -> PlanNode {
        PlanNode {
            id: foreshift_wire::NodeId::new("n").expect("a name"),
            state: NodeState::Ready,
            zone: String::new(),
            weight,
            capacity: Capacity {
                requests_in_flight: in_flight,
                connections,
                ..Capacity::default()
            },
            bottleneck,
            open_streams: None,
            score_now: None,
            predicted: None,
            gated: false,
        }
    }

    #[test]
    fn points_scale_with_the_capacity_of_the_bottleneck_else_with_weight() {
        use Bottleneck::*;
        for (from, to, expected) in [
            (
                node(InFlight, 1.0, Some(64), None),
                node(Relative, 1.0, Some(128), None),
                0.5,
            ),
            (
                node(InFlight, 1.0, Some(64), None),
                node(Relative, 4.0, None, None),
                0.25,
            ),
            (
                node(Relative, 2.0, Some(64), None),
                node(InFlight, 1.0, Some(128), None),
                2.0,
            ),
            (
                node(Connections, 1.0, Some(64), Some(10)),
                node(InFlight, 1.0, Some(128), Some(40)),
                0.25,
            ),
            (
                node(InFlight, 1.0, Some(0), None),
                node(InFlight, 0.0, Some(64), None),
                1.0,
            ),
        ] {
            assert_eq!(ratio(&from, &to), expected, "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn a_unit_weighs_by_its_heaviest_signal_on_the_target() {
        let unit = PlanUnit {
            unit: Unit::Bucket { bucket: 1 },
            node: NodeIndex(0),
            load: 3.0,
            demand: Demand {
                in_flight: 2.0,
                ..Demand::default()
            },
            state_bytes: 0,
            open_streams: 100,
            last_moved_ms: None,
            pinned: false,
            moving: false,
        };
        for (to, expected) in [
            (node(Bottleneck::InFlight, 1.0, None, None), 3.0),
            (node(Bottleneck::InFlight, 1.0, Some(20), None), 10.0),
            (node(Bottleneck::InFlight, 1.0, Some(20), Some(1_000)), 10.0),
            (node(Bottleneck::InFlight, 1.0, Some(20), Some(500)), 20.0),
        ] {
            assert_eq!(arriving(&unit, &to, 1.0), expected, "{to:?}");
        }
    }
}
