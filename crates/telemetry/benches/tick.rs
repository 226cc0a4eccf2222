//! What every request and every tick pays.

use divan::{Bencher, black_box};
use foreshift_telemetry::{Latency, SpaceSaving};

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
