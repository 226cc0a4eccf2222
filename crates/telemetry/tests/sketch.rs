//! What a space-saving sketch guarantees, for any stream.

use std::collections::HashMap;

use foreshift_telemetry::SpaceSaving;
use proptest::prelude::*;

type Stream = Vec<(u16, u64)>;

/// Streams in which some keys come back often and some weights are large.
fn any_stream() -> impl Strategy<Value = Stream> {
    let key = prop_oneof![0..8_u16, 0..200_u16];
    let weight = prop_oneof![Just(1_u64), 0..10_u64, 0..100_000_u64];
    proptest::collection::vec((key, weight), 0..300)
}

fn sketch(stream: &Stream, capacity: usize) -> SpaceSaving<u16, u64> {
    let mut sketch = SpaceSaving::new(capacity);
    for (key, weight) in stream {
        *sketch.add(*key, *weight) += weight;
    }
    sketch
}

fn truth(streams: &[&Stream]) -> HashMap<u16, u64> {
    let mut truth = HashMap::new();
    for (key, weight) in streams.iter().copied().flatten() {
        *truth.entry(*key).or_default() += weight;
    }
    truth
}

/// The guarantee, with `k` the smallest number of counters involved.
fn check(sketch: &SpaceSaving<u16, u64>, truth: &HashMap<u16, u64>, k: usize) -> Result<(), TestCaseError> {
    let total: u64 = truth.values().sum();
    prop_assert_eq!(sketch.total(), total);
    for heavy in sketch.iter() {
        let exact = truth.get(heavy.key).copied().unwrap_or(0);
        prop_assert!(exact <= heavy.count, "{heavy:?} is really {exact}");
        prop_assert!(heavy.count <= exact + heavy.error, "{heavy:?} is really {exact}");
        prop_assert!(heavy.error <= total / k as u64, "{heavy:?} of {total}");
        prop_assert!(*heavy.value <= exact, "what is kept is of this key only");
    }
    for (key, exact) in truth {
        match sketch.get(key) {
            Some(_) => {}
            None => prop_assert!(
                *exact <= sketch.absent_max() && *exact <= total / k as u64,
                "{key} with {exact} of {total} is not in"
            ),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_count_is_never_too_low_and_at_most_its_error_too_high(
        stream in any_stream(),
        capacity in 1..40_usize,
    ) {
        let sketch = sketch(&stream, capacity);
        prop_assert!(sketch.len() <= capacity);
        check(&sketch, &truth(&[&stream]), capacity)?;
    }

    #[test]
    fn the_guarantee_survives_merging_and_going_on(
        streams in proptest::collection::vec(any_stream(), 2..5),
        after in any_stream(),
        capacities in proptest::collection::vec(1..40_usize, 5),
    ) {
        let mut merged = sketch(&streams[0], capacities[0]);
        for (stream, capacity) in streams.iter().zip(&capacities).skip(1) {
            merged.merge(&sketch(stream, *capacity), |ours, theirs| *ours += theirs);
        }
        for (key, weight) in &after {
            *merged.add(*key, *weight) += weight;
        }
        let all: Vec<&Stream> = streams.iter().chain([&after]).collect();
        let smallest = capacities[..streams.len()].iter().min().unwrap();
        check(&merged, &truth(&all), *smallest)?;
    }

    #[test]
    fn with_a_counter_for_each_key_nothing_is_estimated(stream in any_stream()) {
        let sketch = sketch(&stream, 200);
        let truth = truth(&[&stream]);
        prop_assert_eq!(sketch.len(), truth.len());
        let heaviest = sketch.heaviest();
        prop_assert!(heaviest.is_sorted_by(|a, b| a.count >= b.count));
        for heavy in heaviest {
            prop_assert_eq!((heavy.count, heavy.error, *heavy.value), (truth[heavy.key], 0, truth[heavy.key]));
        }
    }
}

#[test]
fn a_cleared_sketch_is_as_new() {
    let mut sketch: SpaceSaving<u16> = SpaceSaving::new(2);
    for key in 0..10 {
        sketch.add(key, 5);
    }
    sketch.clear();
    assert!(sketch.is_empty() && sketch.total() == 0 && sketch.absent_max() == 0);
    sketch.add(3, 1);
    assert_eq!(sketch.get(&3).unwrap().count, 1);
}

#[test]
fn weights_that_overflow_stop_at_the_top() {
    let mut sketch: SpaceSaving<u16> = SpaceSaving::new(1);
    sketch.add(1, u64::MAX);
    sketch.add(2, u64::MAX);
    assert_eq!(sketch.get(&2).unwrap().count, u64::MAX);
}
