//! What one control tick pays for its plan.
//!
//! `cargo bench -p foreshift-placement --bench plan`. Target: at most 10 ms for the whole tick with 1,000 nodes; the keys
//! behind them do not matter, since a plan is given a bounded number of units.

use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use foreshift_placement::{
    Bottleneck, Demand, History, NodeIndex, PlanNode, PlanUnit, PlanView, PlannerSettings, Predicted, plan,
};
use foreshift_wire::{Capacity, MoveId, NodeId, NodeState, PoolName, SessionId, Unit};
use rand::SeedableRng;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const NODES: usize = 1_000;
const OVER: usize = 50;

fn nodes(quiet: f64, capacities: u32) -> Vec<PlanNode> {
    let node = |n: usize| PlanNode {
        id: NodeId::new(&format!("node-{n:04}")).expect("a plain name"),
        state: NodeState::Ready,
        zone: format!("z{}", n % 3),
        weight: 1.0,
        capacity: Capacity {
            requests_in_flight: Some(64 + n as u32 % capacities),
            connections: Some(10_000),
            ..Capacity::default()
        },
        bottleneck: Bottleneck::InFlight,
        open_streams: Some(1_000),
        score_now: Some(if n < OVER { 75.0 } else { quiet }),
        predicted: Some(Predicted {
            peak: if n < OVER { 100.0 } else { quiet + (n % 10) as f64 },
            likely: if n < OVER { 100.0 } else { quiet + (n % 10) as f64 },
            crosses_in_ms: None,
        }),
        gated: false,
    };
    (0..NODES).map(node).collect()
}

/// Units on the nodes that are over, by turns; together they are all of the nodes' load.
fn units(count: usize) -> Vec<PlanUnit> {
    let unit = |n: usize| PlanUnit {
        unit: if n.is_multiple_of(2) {
            Unit::Bucket { bucket: n as u16 }
        } else {
            Unit::Key {
                session: SessionId((n as u128) << 100),
                key: format!("user-{n}"),
            }
        },
        node: NodeIndex((n % OVER) as u16),
        load: 100.0 * OVER as f64 / count as f64 * (0.5 + (n % 7) as f64 / 6.0),
        demand: Demand {
            requests_per_s: 10.0,
            in_flight: 0.3,
            bytes_per_s: 1e4,
        },
        state_bytes: (n % 5) as u64 * 10_000,
        open_streams: (n % 4) as u32,
        last_moved_ms: None,
        pinned: false,
        moving: false,
    };
    (0..count).map(unit).collect()
}

fn run(bencher: Bencher<'_, '_>, nodes: &[PlanNode], units: &[PlanUnit], history: &History) {
    let pool = PoolName::new("app").expect("a plain name");
    let view = PlanView {
        pool: &pool,
        nodes,
        units,
        next_move: MoveId(1),
    };
    let settings = PlannerSettings::default();
    let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
    bencher.bench_local(|| plan(100_000, &view, history, &settings, &mut rng));
}

fn empty() -> History {
    History::new(&PlannerSettings::default())
}

#[divan::bench(args = [0, 1_000, 10_000], min_time = Duration::from_secs(1))]
fn fifty_of_a_thousand_nodes_over(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &nodes(40.0, 1), &units(count), &empty());
}

/// Every node has another capacity, so that no two targets weigh a unit alike.
#[divan::bench]
fn of_a_thousand_sizes(bencher: Bencher<'_, '_>) {
    run(bencher, &nodes(40.0, 1_000), &units(10_000), &empty());
}

/// No target has room for more than crumbs.
#[divan::bench]
fn hardly_any_room(bencher: Bencher<'_, '_>) {
    run(bencher, &nodes(65.5, 1_000), &units(10_000), &empty());
}

/// By its bottleneck everything would fit, and by its connections nothing does.
#[divan::bench]
fn no_room_by_another_signal(bencher: Bencher<'_, '_>) {
    let mut units = units(10_000);
    units.iter_mut().for_each(|unit| unit.open_streams = 9_000);
    run(bencher, &nodes(40.0, 1), &units, &empty());
}

/// Some 12,000 moves are remembered, as many as 30 seconds of full rounds make.
#[divan::bench]
fn with_a_full_history(bencher: Bencher<'_, '_>) {
    let (nodes, units) = (nodes(40.0, 1), units(10_000));
    let pool = PoolName::new("app").expect("a plain name");
    let others: Vec<_> = (0..12_000_u128)
        .map(|n| PlanUnit {
            unit: Unit::Key {
                session: SessionId(n << 64),
                key: String::new(),
            },
            ..units[n as usize % 10_000].clone()
        })
        .collect();
    let mut history = empty();
    for (n, tick) in others.chunks(200).zip(0..) {
        let view = PlanView {
            pool: &pool,
            nodes: &nodes,
            units: n,
            next_move: MoveId(1),
        };
        let mut rng = rand_pcg::Pcg64::seed_from_u64(tick);
        let moves = plan(
            70_500 + tick * 500,
            &view,
            &empty(),
            &PlannerSettings::default(),
            &mut rng,
        )
        .moves;
        for mut m in moves {
            // The other way, so that the way of this plan is barred; and unnoticed by the scores.
            std::mem::swap(&mut m.from, &mut m.to);
            m.benefit = 0.0;
            history.started(&m, &view);
        }
    }
    run(bencher, &nodes, &units, &history);
}
