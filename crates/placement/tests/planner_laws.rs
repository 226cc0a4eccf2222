//! Laws of the planner, checked over random clusters with a model that is not the planner's own.

mod cluster;
mod real;

use std::collections::{HashMap, HashSet};

use cluster::{Cluster, any_cluster, calm_cluster};
use foreshift_placement::{History, PlannerSettings, plan};
use foreshift_wire::{MoveReason, NodeState, Plan, StayReason, Unit};
use proptest::prelude::*;
use real::any_real;

const NOW: u64 = 1_000_000;
const TINY: f64 = 1e-6;

fn planned(cluster: &Cluster, seed: u64) -> Plan {
    plan(
        NOW,
        &cluster.view(),
        &cluster.history(NOW),
        &cluster.settings,
        &mut cluster::rng(seed),
    )
}

fn is_drain(reason: &MoveReason) -> bool {
    *reason == MoveReason::Drain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_target_is_ready_and_stays_under_its_goal_and_the_dead_zone(cluster in any_cluster()) {
        let plan = planned(&cluster, 1);
        let goal = cluster.settings.load_threshold - cluster.settings.headroom;
        for (rank, m) in plan.moves.iter().enumerate() {
            let to = cluster.index(&m.to);
            prop_assert_eq!(cluster.nodes[to].state, NodeState::Ready);
            // In the order of the moves: a drain may fill a node further than a relief before it.
            let so_far = Plan { moves: plan.moves[..=rank].to_vec(), stays: Vec::new() };
            let after = cluster.likely_after(&so_far)[to];
            let limit = if is_drain(&m.reason) { goal } else { goal.min(cluster.dead_zone()) };
            prop_assert!(after.is_some_and(|score| score <= limit + TINY), "{}: {after:?} over {limit}", m.to);
        }
    }

    #[test]
    fn a_plan_never_raises_the_peak(cluster in any_cluster()) {
        let plan = planned(&cluster, 1);
        let peak = |scores: Vec<Option<f64>>| scores.into_iter().flatten().fold(0.0, f64::max);
        let (before, after) = (peak(cluster.likely()), peak(cluster.likely_after(&plan)));
        let goal = cluster.settings.load_threshold - cluster.settings.headroom;
        let limit = if plan.moves.iter().any(|m| is_drain(&m.reason)) { before.max(goal) } else { before };
        prop_assert!(after <= limit + TINY, "{before} became {after}");
    }

    #[test]
    fn a_move_is_of_a_unit_from_where_it_lives_to_elsewhere_and_only_once(cluster in any_cluster()) {
        let plan = planned(&cluster, 1);
        let mut seen = HashSet::new();
        for (rank, m) in plan.moves.iter().enumerate() {
            prop_assert_ne!(&m.from, &m.to);
            let unit = cluster.unit(&m.unit);
            prop_assert_eq!(&cluster.nodes[usize::from(unit.node.0)].id, &m.from);
            prop_assert!(seen.insert(m.unit.clone()), "twice: {:?}", m.unit);
            prop_assert_eq!((m.priority as usize, m.id.0), (rank, 700 + rank as u64));
        }
    }

    #[test]
    fn no_brake_is_overrun(cluster in any_cluster()) {
        let (plan, settings) = (planned(&cluster, 1), &cluster.settings);
        let before = cluster.expected();
        prop_assert!(plan.moves.len() <= settings.max_moves_per_tick as usize);
        let mut left: HashMap<usize, (f64, u32)> = HashMap::new();
        for m in &plan.moves {
            let unit = cluster.unit(&m.unit);
            prop_assert!(!unit.pinned && !unit.moving, "{unit:?}");
            prop_assert!(!cluster.moved_lately(NOW, &m.unit), "cooling down: {unit:?}");
            prop_assert!(!cluster.failed_lately(&m.unit), "backing off: {unit:?}");
            let from = cluster.index(&m.from);
            if is_drain(&m.reason) {
                prop_assert_eq!(cluster.nodes[from].state, NodeState::Draining);
                continue;
            }
            prop_assert_eq!(cluster.nodes[from].state, NodeState::Ready);
            prop_assert!(before[from].is_some_and(|s| s > settings.load_threshold && s > cluster.dead_zone()));
            prop_assert!(m.benefit > settings.gain_factor * m.cost, "{m:?}");
            let (sum, count) = left.entry(from).or_default();
            (*sum, *count) = (*sum + unit.load, *count + 1);
        }
        for (from, (sum, count)) in left {
            let excess = before[from].unwrap_or(0.0) - (settings.load_threshold - settings.headroom);
            prop_assert!(count == 1 || sum <= settings.excess_share * excess + TINY, "{sum} of {excess} in {count}");
        }
    }

    #[test]
    fn no_pair_of_nodes_exchanges_units_both_ways(cluster in any_cluster()) {
        let plan = planned(&cluster, 1);
        let directions: HashSet<_> = plan.moves.iter().map(|m| (m.from.clone(), m.to.clone())).collect();
        for m in &plan.moves {
            let back = (m.to.clone(), m.from.clone());
            prop_assert!(!directions.contains(&back) && !cluster.went_lately(&back), "{back:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan(cluster in any_cluster(), seed in any::<u64>()) {
        prop_assert_eq!(planned(&cluster, seed), planned(&cluster, seed));
    }

    #[test]
    fn what_is_left_alone_says_why_in_bounded_words(cluster in any_cluster()) {
        let plan = planned(&cluster, 1);
        let (before, after) = (cluster.expected(), cluster.expected_after(&plan));
        for (n, node) in cluster.nodes.iter().enumerate().filter(|(_, node)| node.state == NodeState::Ready) {
            let stays: Vec<_> = plan.stays.iter().filter(|s| s.node == node.id && s.unit.is_none()).map(|s| s.reason).collect();
            match before[n] {
                None => prop_assert_eq!(&stays, &[StayReason::TooYoung]),
                Some(s) if s <= cluster.settings.load_threshold => prop_assert_eq!(&stays, &[StayReason::UnderThreshold]),
                Some(s) if s <= cluster.dead_zone() => prop_assert_eq!(&stays, &[StayReason::WithinDeadZone]),
                Some(_) => {
                    let goal = cluster.settings.load_threshold - cluster.settings.headroom;
                    prop_assert!(stays.len() == 1 || after[n].is_some_and(|s| s <= goal + TINY), "{}: {stays:?}", node.id);
                }
            }
        }
        for node in &cluster.nodes {
            let named = plan.stays.iter().filter(|s| s.node == node.id && s.unit.is_some()).count();
            prop_assert!(named <= cluster.settings.stays_per_node);
        }
        let moved: HashSet<&Unit> = plan.moves.iter().map(|m| &m.unit).collect();
        prop_assert!(plan.stays.iter().all(|s| s.unit.as_ref().is_none_or(|unit| !moved.contains(unit))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn on_a_load_that_stays_and_fits_all_nodes_come_under_the_threshold_and_moving_ends(cluster in calm_cluster()) {
        let mut cluster = cluster;
        let mut history = History::new(&cluster.settings);
        let (mut now, mut quiet, mut rounds) = (NOW, 0, 0);
        // Ticks of half a second, scores measured at once; quiet for as long as any brake lasts is the end.
        while quiet < 200 {
            let plan = plan(now, &cluster.view(), &history, &cluster.settings, &mut cluster::rng(now));
            for m in &plan.moves {
                history.started(m, &cluster.view());
                history.done(m);
            }
            quiet = if plan.moves.is_empty() { quiet + 1 } else { 0 };
            cluster.apply(&plan);
            (now, rounds) = (now + 500, rounds + 1);
            prop_assert!(rounds < 5_000, "does not end");
        }
        for (node, score) in cluster.nodes.iter().zip(cluster.expected()) {
            prop_assert!(score.is_some_and(|s| s <= cluster.settings.load_threshold), "{node:?}");
        }
    }

    #[test]
    fn an_unmoved_forecast_is_not_answered_twice(cluster in calm_cluster()) {
        // The forecast goes on expecting a surge of keys that have left: for as long as it may take to learn, no
        // more leaves than what brings the node down to its goal.
        let settings = cluster.settings;
        let mut cluster = cluster;
        cluster.nodes.iter_mut().for_each(|node| node.score_now = Some(0.0));
        let mut history = History::new(&settings);
        let first = cluster.expected();
        let mut left = vec![0.0; cluster.nodes.len()];
        for tick in 0..10 {
            let now = NOW + tick * 500;
            let plan = plan(now, &cluster.view(), &history, &settings, &mut cluster::rng(now));
            for m in &plan.moves {
                history.started(m, &cluster.view());
                left[cluster.index(&m.from)] += m.benefit;
            }
            cluster.relocate(&plan);
        }
        for (left, score) in left.into_iter().zip(first) {
            let excess = score.unwrap_or(0.0) - (settings.load_threshold - settings.headroom);
            prop_assert!(left <= excess.max(0.0) + TINY, "{left} left for an excess of {excess}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_signal_of_a_target_comes_over_the_goal_whichever_was_the_bottleneck_before(real in any_real()) {
        let cluster = real.cluster();
        let plan = planned(&cluster, 1);
        let goal = (cluster.settings.load_threshold - cluster.settings.headroom).min(cluster.dead_zone());
        let (before, after) = (real.scores(), real.after(&plan).scores());
        for m in &plan.moves {
            let (from, to) = (cluster.index(&m.from), cluster.index(&m.to));
            prop_assert!(after[to] <= goal + TINY, "{}: {} over {goal}", m.to, after[to]);
            prop_assert!(after[from] <= before[from], "{}: {} became {}", m.from, before[from], after[from]);
        }
    }
}

#[test]
fn settings_come_from_the_pool_and_else_are_the_documented_ones() {
    let text = r#"
        [[listener]]
        name = "web"
        address = "127.0.0.1:8080"
        pool = "app"
        [[pool]]
        name = "app"
        load_threshold = 70
        migration_interval = "45s"
    "#;
    let config = foreshift_wire::Config::parse(text).expect("a configuration");
    let settings = PlannerSettings::from(&config.pool[0]);
    assert_eq!(
        (settings.load_threshold, settings.migration_interval_ms),
        (70.0, 45_000)
    );
    assert_eq!((settings.headroom, settings.max_moves_per_tick), (5.0, 200));
    assert_eq!(
        (settings.dead_zone, settings.excess_share, settings.gain_factor),
        (0.15, 0.5, 2.0)
    );
}
