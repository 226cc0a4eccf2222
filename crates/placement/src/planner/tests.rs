//! Single rules, by example. The laws over random clusters are in `tests/planner_laws.rs`.

use foreshift_wire::{Capacity, MoveReason, NodeState, PoolName, SessionId};
use rand::SeedableRng;

use super::*;
use crate::NodeIndex;

const NOW: u64 = 1_000_000;

fn node(name: &str, score: f64) -> PlanNode {
    PlanNode {
        id: NodeId::new(name).expect("a plain name"),
        state: NodeState::Ready,
        zone: String::new(),
        weight: 1.0,
        capacity: Capacity::default(),
        bottleneck: Bottleneck::Relative,
        open_streams: None,
        score_now: Some(score),
        predicted: Some(Predicted {
            peak: score,
            likely: score,
            crosses_in_ms: None,
        }),
        gated: false,
    }
}

fn in_zone(zone: &str, node: PlanNode) -> PlanNode {
    PlanNode {
        zone: zone.into(),
        ..node
    }
}

fn in_state(state: NodeState, node: PlanNode) -> PlanNode {
    PlanNode { state, ..node }
}

fn bucket(bucket: u16, node: u16, load: f64) -> PlanUnit {
    PlanUnit {
        unit: Unit::Bucket { bucket },
        node: NodeIndex(node),
        load,
        demand: Demand::default(),
        state_bytes: 0,
        open_streams: 1,
        last_moved_ms: None,
        pinned: false,
        moving: false,
    }
}

/// `count` buckets of `load` on the first node.
fn buckets(count: u16, load: f64) -> Vec<PlanUnit> {
    (0..count).map(|n| bucket(n, 0, load)).collect()
}

fn planned(nodes: &[PlanNode], units: &[PlanUnit]) -> Plan {
    with(
        &PlannerSettings::default(),
        &History::new(&PlannerSettings::default()),
        nodes,
        units,
    )
}

fn with(settings: &PlannerSettings, history: &History, nodes: &[PlanNode], units: &[PlanUnit]) -> Plan {
    let pool = PoolName::new("app").expect("a plain name");
    let view = PlanView {
        pool: &pool,
        nodes,
        units,
        next_move: MoveId(1),
    };
    plan(
        NOW,
        &view,
        history,
        settings,
        &mut rand_pcg::Pcg64::seed_from_u64(1),
    )
}

/// Load that each node gets.
fn given(plan: &Plan, node: &str) -> f64 {
    plan.moves
        .iter()
        .filter(|m| m.to.as_str() == node)
        .map(|m| m.benefit)
        .sum()
}

fn unit_stays(plan: &Plan) -> Vec<StayReason> {
    plan.stays
        .iter()
        .filter(|stay| stay.unit.is_some())
        .map(|stay| stay.reason)
        .collect()
}

fn node_stay(plan: &Plan, node: &str) -> Option<StayReason> {
    let found = plan
        .stays
        .iter()
        .find(|stay| stay.unit.is_none() && stay.node.as_str() == node);
    found.map(|stay| stay.reason)
}

#[test]
fn half_of_the_excess_leaves_in_a_round() {
    let plan = planned(
        &[node("a", 95.0), node("b", 10.0), node("c", 10.0)],
        &buckets(95, 1.0),
    );
    // 95 is 20 over the goal of 75.
    assert_eq!(plan.moves.len(), 10);
    assert_eq!((given(&plan, "b"), given(&plan, "c")), (5.0, 5.0));
    assert_eq!(node_stay(&plan, "a"), Some(StayReason::EnoughMoved));
    assert_eq!(node_stay(&plan, "b"), Some(StayReason::UnderThreshold));
}

#[test]
fn the_reason_tells_what_was_foreseen_and_what_was_not() {
    let foreseen = Some(Predicted {
        peak: 95.0,
        likely: 95.0,
        crosses_in_ms: Some(4_000),
    });
    let predicted = MoveReason::PredictedOverload {
        predicted: 95.0,
        in_ms: 4_000,
        threshold: 80.0,
    };
    let current = |score| MoveReason::CurrentOverload {
        score,
        threshold: 80.0,
    };
    for (now, forecast, gated, reason) in [
        (Some(60.0), foreseen, false, Some(predicted.clone())),
        (None, foreseen, false, Some(predicted)),
        (Some(90.0), foreseen, false, Some(current(90.0))),
        (Some(90.0), None, false, Some(current(90.0))),
        (
            Some(90.0),
            Some(Predicted {
                peak: 50.0,
                likely: 50.0,
                crosses_in_ms: None,
            }),
            false,
            Some(current(90.0)),
        ),
        (Some(60.0), foreseen, true, None),
        (Some(90.0), foreseen, true, Some(current(90.0))),
        (Some(60.0), None, false, None),
        (None, None, false, None),
    ] {
        let a = PlanNode {
            score_now: now,
            predicted: forecast,
            gated,
            ..node("a", 0.0)
        };
        let plan = planned(&[a, node("b", 10.0)], &buckets(95, 1.0));
        let case = format!("{now:?} {forecast:?} {gated}");
        assert_eq!(plan.moves.first().map(|m| m.reason.clone()), reason, "{case}");
    }
}

fn feared(name: &str, peak: f64, likely: f64) -> PlanNode {
    let predicted = Predicted {
        peak,
        likely,
        crosses_in_ms: Some(4_000),
    };
    PlanNode {
        predicted: Some(predicted),
        ..node(name, likely)
    }
}

#[test]
fn a_surge_that_may_come_to_any_node_leaves_room_on_those_where_it_is_not_likely() {
    let nodes = [
        feared("a", 150.0, 90.0),
        feared("b", 95.0, 40.0),
        feared("c", 95.0, 50.0),
    ];
    let plan = planned(&nodes, &buckets(90, 1.0));
    // Half of what 150 is over the goal would be 37, but at 60 each all three are even.
    assert_eq!((given(&plan, "b"), given(&plan, "c")), (20.0, 10.0));
    assert_eq!(node_stay(&plan, "b"), Some(StayReason::WithinDeadZone));
}

#[test]
fn nothing_goes_to_where_it_is_likely_to_be_fuller_than_here() {
    let nodes = [
        feared("a", 200.0, 50.0),
        feared("b", 60.0, 60.0),
        feared("c", 49.5, 49.5),
    ];
    assert_eq!(planned(&nodes, &buckets(50, 1.0)).moves, []);
}

#[test]
fn a_node_of_which_nothing_is_known_is_neither_relieved_nor_filled() {
    let young = PlanNode {
        score_now: None,
        predicted: None,
        ..node("b", 0.0)
    };
    let plan = planned(&[node("a", 95.0), young, node("c", 40.0)], &buckets(95, 1.0));
    assert_eq!((given(&plan, "b"), given(&plan, "c")), (0.0, 10.0));
    assert_eq!(node_stay(&plan, "b"), Some(StayReason::TooYoung));
}

#[test]
fn each_brake_has_its_reason() {
    let settings = PlannerSettings::default();
    let free = || bucket(1, 0, 4.0);
    let mut past = History::new(&settings);
    let pool = PoolName::new("app").expect("a plain name");
    let nodes = [node("a", 95.0), node("b", 10.0)];
    let view = PlanView {
        pool: &pool,
        nodes: &nodes,
        units: &[],
        next_move: MoveId(1),
    };
    let mut of = planned(&nodes, &[free()]).moves.remove(0);
    (of.benefit, of.planned_ms, of.unit) = (0.0, NOW - 1_000, Unit::Bucket { bucket: 7 });
    past.started(&of, &view);
    of.unit = Unit::Bucket { bucket: 8 };
    past.started(&of, &view);
    past.failed(NOW - 500, &of, &view);
    for (unit, reason) in [
        (free(), None),
        (
            PlanUnit {
                pinned: true,
                ..free()
            },
            Some(StayReason::Pinned),
        ),
        (
            PlanUnit {
                moving: true,
                ..free()
            },
            Some(StayReason::AlreadyMoving),
        ),
        (
            PlanUnit {
                last_moved_ms: Some(NOW - 29_999),
                ..free()
            },
            Some(StayReason::CoolingDown),
        ),
        (
            PlanUnit {
                last_moved_ms: Some(NOW - 30_000),
                ..free()
            },
            None,
        ),
        (bucket(7, 0, 4.0), Some(StayReason::CoolingDown)),
        (bucket(8, 0, 4.0), Some(StayReason::BackingOff)),
        (bucket(1, 0, 80.0), Some(StayReason::NoRoom)),
        (bucket(1, 0, 0.0), Some(StayReason::CostsMoreThanItGains)),
    ] {
        let plan = with(&settings, &past, &nodes, std::slice::from_ref(&unit));
        assert_eq!(unit_stays(&plan).first().copied(), reason, "{unit:?}");
        assert_eq!(plan.moves.is_empty(), reason.is_some(), "{unit:?}");
    }
    // What went from a to b bars the way back.
    let back = with(
        &settings,
        &past,
        &[node("a", 10.0), node("b", 95.0)],
        &[bucket(1, 1, 4.0)],
    );
    assert_eq!(unit_stays(&back), [StayReason::WouldPingPong]);
    let other = [node("a", 10.0), node("b", 95.0), node("c", 30.0)];
    assert_eq!(
        given(&with(&settings, &past, &other, &[bucket(1, 1, 4.0)]), "c"),
        4.0
    );
    // A limit of moves, and nothing to move.
    let limited = PlannerSettings {
        max_moves_per_tick: 3,
        ..settings
    };
    let plan = with(&limited, &past, &nodes, &buckets(5, 1.0));
    assert_eq!(
        (plan.moves.len(), node_stay(&plan, "a")),
        (3, Some(StayReason::MoveLimit))
    );
    assert_eq!(
        node_stay(&planned(&nodes, &[]), "a"),
        Some(StayReason::NothingToMove)
    );
}

#[test]
fn nodes_that_are_all_alike_are_left_alone() {
    let plan = planned(
        &[node("a", 95.0), node("b", 90.0), node("c", 92.0)],
        &buckets(95, 1.0),
    );
    assert!(plan.moves.is_empty());
    assert_eq!(node_stay(&plan, "a"), Some(StayReason::WithinDeadZone));
}

#[test]
fn a_heavy_unit_that_would_only_carry_the_peak_elsewhere_stays() {
    let plan = planned(&[node("a", 90.0), node("b", 0.0)], &[bucket(1, 0, 70.0)]);
    assert_eq!(unit_stays(&plan), [StayReason::NoRoom]);
}

#[test]
fn where_every_unit_is_more_than_the_round_may_move_the_lightest_goes() {
    // 7 over the goal, so 3.5 may leave.
    let units = [bucket(1, 0, 12.0), bucket(2, 0, 6.0), bucket(3, 0, 8.0)];
    let plan = planned(&[node("a", 82.0), node("b", 10.0)], &units);
    assert_eq!(plan.moves.iter().map(|m| m.benefit).collect::<Vec<_>>(), [6.0]);
}

#[test]
fn units_that_take_most_load_with_least_disruption_go_first() {
    let busy = PlanUnit {
        open_streams: 1,
        ..bucket(1, 0, 2.0)
    };
    let crowded = PlanUnit {
        open_streams: 8,
        ..bucket(2, 0, 2.5)
    };
    let laden = PlanUnit {
        state_bytes: 20 << 20,
        ..bucket(3, 0, 2.5)
    };
    let a = PlanNode {
        open_streams: Some(1_000),
        ..node("a", 83.0)
    };
    let plan = planned(&[a, node("b", 10.0)], &[laden, crowded, busy]);
    let moved: Vec<_> = plan.moves.iter().map(|m| &m.unit).collect();
    assert_eq!(moved, [&Unit::Bucket { bucket: 1 }]);
}

#[test]
fn a_crowd_of_idle_clients_is_not_disturbed_for_little() {
    // A tenth of the streams makes up a fiftieth of the load.
    let a = PlanNode {
        open_streams: Some(1_000),
        ..node("a", 100.0)
    };
    let idle = PlanUnit {
        open_streams: 100,
        ..bucket(1, 0, 2.0)
    };
    let plan = planned(&[a, node("b", 10.0)], &[idle]);
    assert_eq!(unit_stays(&plan), [StayReason::CostsMoreThanItGains]);
}

#[test]
fn a_larger_node_takes_more_and_a_smaller_one_less() {
    let sized = |slots, node: PlanNode| PlanNode {
        capacity: Capacity {
            requests_in_flight: Some(slots),
            ..Capacity::default()
        },
        bottleneck: Bottleneck::InFlight,
        ..node
    };
    let nodes = [
        sized(64, node("a", 100.0)),
        sized(256, node("b", 50.0)),
        sized(16, node("c", 50.0)),
    ];
    let plan = planned(&nodes, &buckets(80, 1.0));
    // To c, each point would be four.
    assert_eq!((given(&plan, "b"), given(&plan, "c")), (12.0, 0.0));
    let without_b = [nodes[0].clone(), nodes[2].clone(), node("d", 65.0)];
    assert!(given(&planned(&without_b, &buckets(80, 1.0)), "c") * 4.0 <= 25.0);
}

#[test]
fn a_target_short_of_connections_is_spared_what_is_idle_elsewhere() {
    let few = Capacity {
        connections: Some(100),
        ..Capacity::default()
    };
    let b = PlanNode {
        capacity: few,
        bottleneck: Bottleneck::Connections,
        ..node("b", 40.0)
    };
    let unit = PlanUnit {
        open_streams: 50,
        ..bucket(1, 0, 8.0)
    };
    let plan = planned(&[node("a", 95.0), b, node("c", 60.0)], &[unit]);
    assert_eq!((given(&plan, "b"), given(&plan, "c")), (0.0, 8.0));
}

#[test]
fn the_own_zone_is_preferred_where_it_is_about_as_good() {
    for (near, expected) in [(30.5, "near"), (35.0, "far")] {
        let nodes = [
            in_zone("z1", node("a", 95.0)),
            in_zone("z2", node("far", 30.0)),
            in_zone("z1", node("near", near)),
        ];
        let plan = planned(&nodes, &[bucket(1, 0, 4.0)]);
        assert_eq!(plan.moves[0].to.as_str(), expected, "{near}");
    }
}

#[test]
fn a_draining_node_is_emptied_within_its_part_of_the_round() {
    let settings = PlannerSettings {
        max_moves_per_tick: 8,
        ..PlannerSettings::default()
    };
    let history = History::new(&settings);
    let nodes = [
        node("a", 100.0),
        in_state(NodeState::Draining, node("b", 5.0)),
        node("c", 0.0),
        node("d", 0.0),
    ];
    let mut units = buckets(40, 1.0);
    units.extend((100..140).map(|n| bucket(n, 1, 0.0)));
    let plan = with(&settings, &history, &nodes, &units);
    let drained = plan
        .moves
        .iter()
        .filter(|m| m.reason == MoveReason::Drain)
        .count();
    assert_eq!((plan.moves.len(), drained), (8, 2));
    assert_eq!(node_stay(&plan, "b"), Some(StayReason::MoveLimit));
    // Alone, it gets the whole round; and it goes anywhere under the goal, dead zone or not.
    let quiet = [node("a", 60.0), nodes[1].clone(), node("c", 20.0)];
    let alone = with(&settings, &history, &quiet, &units);
    assert!(
        alone.moves.len() == 8
            && alone
                .moves
                .iter()
                .all(|m| m.reason == MoveReason::Drain && m.from.as_str() == "b")
    );
}

#[test]
fn nothing_goes_to_a_node_that_is_not_ready() {
    for state in [NodeState::Joining, NodeState::Draining, NodeState::Down] {
        let plan = planned(
            &[node("a", 95.0), in_state(state, node("b", 0.0)), node("c", 30.0)],
            &buckets(95, 1.0),
        );
        assert_eq!(given(&plan, "b"), 0.0, "{state:?}");
    }
}

#[test]
fn a_key_does_not_move_both_by_itself_and_with_its_bucket() {
    let key = Unit::Key {
        session: SessionId(5 << 112),
        key: "k".into(),
    };
    let units = [
        PlanUnit {
            unit: key,
            ..bucket(0, 0, 3.0)
        },
        bucket(5, 0, 2.0),
    ];
    let plan = planned(&[node("a", 95.0), node("b", 10.0)], &units);
    assert_eq!(plan.moves.len(), 1);
    assert_eq!(unit_stays(&plan), [StayReason::AlreadyMoving]);
}

#[test]
fn loads_that_are_no_numbers_and_units_of_no_node_do_no_harm() {
    for load in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let units = [bucket(1, 0, load), bucket(2, 1, load), bucket(3, 999, load)];
        let nodes = [
            node("a", 95.0),
            in_state(NodeState::Draining, node("b", load)),
            node("c", 10.0),
            node("d", load),
        ];
        let plan = planned(&nodes, &units);
        assert!(
            plan.moves
                .iter()
                .all(|m| m.benefit.is_finite() && m.from.as_str() == "b"),
            "{load}: {plan:?}"
        );
    }
}
