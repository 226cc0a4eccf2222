//! What every request pays to find its node, and what a change of the map costs.
//!
//! `cargo bench -p foreshift-placement --bench lookup`. Target: a lookup at most 50 ns at a million keys with 10,000
//! overrides.

use divan::{Bencher, black_box, counter::ItemsCount};
use foreshift_placement::{AffinityMap, Keyed, MapChanges, MapNode, Secret};
use foreshift_wire::{NodeId, NodeState, PoolName, SessionId};

/// Lookups in one measured run, so that the timer's own cost does not count.
const BATCH: usize = 1_000;

fn main() {
    divan::main();
}

fn node(n: usize) -> NodeId {
    NodeId::new(&format!("node-{n}")).expect("a plain name")
}

fn nodes(count: usize) -> Vec<MapNode> {
    (0..count)
        .map(|n| MapNode {
            id: node(n),
            weight: 1.0,
            state: NodeState::Ready,
        })
        .collect()
}

fn keyed() -> Keyed {
    Keyed::new(
        &Secret::from_bytes([7; 16]),
        &PoolName::new("app").expect("a plain name"),
    )
}

fn sessions(count: u32) -> Vec<SessionId> {
    let keyed = keyed();
    (0..count)
        .map(|key| keyed.session(format!("user-{key:07}").as_bytes()))
        .collect()
}

fn overrides(sessions: &[SessionId]) -> MapChanges {
    let set = sessions
        .iter()
        .enumerate()
        .map(|(n, session)| (*session, node(n % 16)))
        .collect();
    MapChanges {
        set_overrides: set,
        ..MapChanges::default()
    }
}

/// Session of the `n`-th of a million keys: computed, so that no memory but the map's is touched.
fn key(n: u64) -> SessionId {
    let mix = |z: u64| (z ^ (z >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let (low, high) = (mix(mix(n + 1)), mix(mix(n + 0x9e37_79b9)));
    SessionId(u128::from(high) << 64 | u128::from(low))
}

#[divan::bench(args = [0, 10_000, 100_000])]
fn lookup_at_a_million_keys(bencher: Bencher<'_, '_>, overridden: u64) {
    let keys: Vec<_> = (0..overridden)
        .map(|n| key(n * (1_000_000 / overridden.max(1))))
        .collect();
    let map = AffinityMap::build(1, nodes(16), 1.25).with_changes(2, &overrides(&keys));
    let mut at = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            // The next key hangs on the last answer: this is latency, not what the core overlaps.
            let node = black_box(map.lookup(key(at))).map_or(0, |node| u64::from(node.0));
            at = (at + 618_033 + node) % 1_000_000;
        }
    });
}

#[divan::bench]
fn hash_and_lookup(bencher: Bencher<'_, '_>) {
    let keys = sessions(10_000);
    let map = AffinityMap::build(1, nodes(16), 1.25).with_changes(2, &overrides(&keys));
    let keyed = keyed();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            black_box(map.lookup(keyed.session(black_box(b"user-0123456"))));
        }
    });
}

#[divan::bench(args = [0, 10_000, 100_000])]
fn one_override_changes(bencher: Bencher<'_, '_>, overridden: u32) {
    let keys = sessions(overridden + 1);
    let map = AffinityMap::build(1, nodes(16), 1.25).with_changes(2, &overrides(&keys[1..]));
    let change = overrides(&keys[..1]);
    bencher.bench_local(|| map.with_changes(3, &change));
}

#[divan::bench]
fn two_hundred_of_ten_thousand_overrides_change(bencher: Bencher<'_, '_>) {
    let keys = sessions(10_000);
    let map = AffinityMap::build(1, nodes(16), 1.25).with_changes(2, &overrides(&keys));
    let change = overrides(&keys[1..201]);
    bencher.bench_local(|| map.with_changes(3, &change));
}

#[divan::bench]
fn two_hundred_buckets_change(bencher: Bencher<'_, '_>) {
    let map = AffinityMap::build(1, nodes(16), 1.25);
    let set_buckets = (0..200).map(|b| (b * 300, node(3))).collect();
    let change = MapChanges {
        set_buckets,
        ..MapChanges::default()
    };
    bencher.bench_local(|| map.with_changes(3, &change));
}

#[divan::bench(args = [4, 100, 1_000])]
fn build(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .with_inputs(|| nodes(count))
        .bench_local_values(|nodes| AffinityMap::build(1, nodes, 1.25));
}

#[divan::bench(args = [4, 1_000])]
fn next_when_one_node_is_out(bencher: Bencher<'_, '_>, count: usize) {
    let map = AffinityMap::build(1, nodes(count), 1.25);
    let keys = sessions(10_000);
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % keys.len();
        let failed = map.lookup(keys[at]);
        map.next(keys[at], |node| Some(node) != failed)
    });
}
