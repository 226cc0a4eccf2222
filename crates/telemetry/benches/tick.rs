//! What every request and every tick pays.

use std::time::Duration;

use divan::{Bencher, black_box};
use foreshift_telemetry::{KeyLoadOptions, KeyLoads, Latency, NodeLoad, NodeSeries, SpaceSaving, UnitKind};
use foreshift_wire::{BucketReport, KeyReport, NodeId, NodeReport, SessionId, Signals};

fn main() {
    divan::main();
}

/// A cheap sequence without pattern: PCG's multiplier.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *state >> 33
}

/// A few hundred keys take half of the requests, a hundred thousand the rest.
#[divan::bench(args = [64, 512, 4096])]
fn sketch_update(bencher: Bencher<'_, '_>, counters: usize) {
    let mut sketch: SpaceSaving<u128> = SpaceSaving::new(counters);
    let mut state = 7;
    let mut draw = move || {
        let n = next(&mut state);
        u128::from(if n.is_multiple_of(2) { n % 300 } else { n % 100_000 })
    };
    (0..1_000_000).for_each(|_| *sketch.add(draw(), 1) = ());
    bencher.bench_local(|| *black_box(sketch.add(black_box(draw()), 1)));
}

#[divan::bench]
fn latency_record(bencher: Bencher<'_, '_>) {
    let mut latency = Latency::new();
    let mut state = 7;
    bencher.bench_local(|| latency.record_us(black_box(next(&mut state) % 100_000)));
}

fn report(keys: u128, buckets: u16) -> (Vec<KeyReport>, Vec<BucketReport>) {
    let key = |n: u128| KeyReport {
        session: SessionId(n << 100 | n),
        key: format!("user-{n}"),
        node: NodeId::new("node-1").expect("a name"),
        requests: 50 + n as u32,
        bytes: 10_000,
        busy_us: 20_000,
        open: 1,
        error: 3,
    };
    let bucket = |bucket| BucketReport {
        bucket,
        requests: 10,
        bytes: 1_000,
        busy_us: 5_000,
        open: 2,
    };
    let step = (u16::MAX / buckets).max(1);
    (
        (0..keys).map(key).collect(),
        (0..buckets).map(|n| bucket(n * step)).collect(),
    )
}

/// One tick of a busy pool.
#[divan::bench(args = [(512, 4_000), (512, 65_000)])]
fn key_loads_tick(bencher: Bencher<'_, '_>, (keys, buckets): (u128, u16)) {
    let (keys, buckets) = report(keys, buckets);
    let mut loads = KeyLoads::new(KeyLoadOptions::default());
    let mut now_ms = 1_700_000_000_000;
    bencher.bench_local(|| {
        now_ms += 500;
        loads.observe(now_ms, Duration::from_millis(500), &keys, &buckets);
    });
}

/// The units of the eight fullest of a thousand nodes, once a threshold is crossed.
#[divan::bench(args = [(512, 4_000), (512, 65_000)])]
fn heaviest_of_eight_nodes(bencher: Bencher<'_, '_>, (keys, buckets): (u128, u16)) {
    let (keys, buckets) = report(keys, buckets);
    let mut loads = KeyLoads::new(KeyLoadOptions::default());
    loads.observe(1_700_000_000_000, Duration::from_millis(500), &keys, &buckets);
    let node = |unit| match unit {
        UnitKind::Key(SessionId(n)) => Some((n % 1_000) as usize),
        UnitKind::Bucket(bucket) => Some(usize::from(bucket) % 1_000),
    };
    bencher.bench_local(|| loads.heaviest(8, 256, node, |rate| rate.in_flight));
}

/// Signals of one node; a thousand of these a tick.
#[divan::bench]
fn node_signals(bencher: Bencher<'_, '_>) {
    let (mut latency, mut state) = (Latency::new(), 7);
    (0..500).for_each(|_| latency.record_us(1_000 + next(&mut state) % 50_000));
    let report = NodeReport {
        node: NodeId::new("node-1").expect("a name"),
        requests: 500,
        errors: 0,
        bytes: 1_000_000,
        busy_us: 9_000_000,
        in_flight: 9,
        connections: 400,
        response: latency.take(),
        in_band: None,
        resilience: Default::default(),
    };
    let mut load = NodeLoad::new();
    bencher.bench_local(|| load.observe(0, Duration::from_millis(500), black_box(&report)));
}

/// All metrics of one node into their roll-ups.
#[divan::bench]
fn node_series_record(bencher: Bencher<'_, '_>) {
    let some = Some(1.0);
    let signals = Signals {
        requests_per_s: some,
        response_ms_p99: some,
        connections: some,
        in_flight: some,
        ..Signals::default()
    };
    let (mut series, mut now_ms) = (NodeSeries::default(), 1_700_000_000_000);
    bencher.bench_local(|| {
        now_ms += 500;
        series.record(now_ms, &signals, some);
    });
}
