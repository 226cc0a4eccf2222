//! Loads of keys and buckets: bounded, smoothed, forgotten when idle, and ranked as asked.

use std::time::Duration;

use foreshift_telemetry::{KeyLoadOptions, KeyLoads, UnitKind};
use foreshift_wire::{BucketReport, KeyReport, NodeId, SessionId, Unit};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const NOW: u64 = 1_700_000_000_000;

fn key(session: u128, requests: u32, error: u32) -> KeyReport {
    KeyReport {
        session: SessionId(session),
        key: format!("user-{session}"),
        node: NodeId::new("a").unwrap(),
        requests,
        bytes: u64::from(requests) * 100,
        busy_us: u64::from(requests) * 10_000,
        open: 1,
        error,
    }
}

fn bucket(bucket: u16, requests: u32, open: u32) -> BucketReport {
    BucketReport {
        bucket,
        requests,
        bytes: 0,
        busy_us: 0,
        open,
    }
}

fn loads(keys_max: usize) -> KeyLoads {
    KeyLoads::new(KeyLoadOptions {
        keys_max,
        ..KeyLoadOptions::default()
    })
}

#[test]
fn a_new_unit_has_its_measured_rates_at_once_less_what_is_uncertain() {
    let mut loads = loads(10);
    loads.observe(
        NOW,
        Duration::from_millis(500),
        &[key(1, 110, 10)],
        &[bucket(7, 30, 4)],
    );
    let rate = loads.key(SessionId(1)).unwrap();
    assert!((rate.requests_per_s - 200.0).abs() < 1e-6, "{rate:?}");
    assert!((rate.in_flight - 2.2).abs() < 1e-6, "{rate:?}");
    assert_eq!(rate.open, 1);
    assert_eq!(loads.bucket(7).unwrap().open, 4);
    assert_eq!(loads.node_of(SessionId(1)).unwrap().as_str(), "a");
    let (session, key) = (SessionId(1), "user-1".to_owned());
    assert_eq!(loads.unit(UnitKind::Key(session)), Unit::Key { session, key });
    assert_eq!((loads.key(SessionId(2)), loads.bucket(8)), (None, None));
}

#[test]
fn what_is_silent_fades_and_is_dropped() {
    let mut loads = loads(10);
    loads.observe(NOW, SECOND, &[key(1, 100, 0)], &[bucket(7, 100, 4)]);
    let mut last = 100.0 + 1e-6;
    for second in 1..=60 {
        loads.observe(NOW + second * 1_000, SECOND, &[], &[bucket(9, 1, 1)]);
        if let Some(rate) = loads.key(SessionId(1)) {
            assert!(rate.requests_per_s < last, "{rate:?}");
            last = rate.requests_per_s;
        }
        if let Some(rate) = loads.bucket(7) {
            assert_eq!(rate.open, 0, "a bucket with open streams would be in the report");
        }
    }
    assert!(last < 1.0, "{last}");
    assert_eq!(loads.len(), (0, 1), "only the bucket that is still heard of");
}

#[test]
fn clock_jumps_neither_freeze_nor_inflate_anything() {
    let mut loads = loads(10);
    loads.observe(NOW, SECOND, &[key(1, 100, 0)], &[]);
    // Back by an hour: as old as now, then fading as ever.
    loads.observe(NOW - 3_600_000, SECOND, &[], &[]);
    assert!(loads.key(SessionId(1)).unwrap().requests_per_s <= 100.0 + 1e-6);
    loads.observe(NOW - 3_590_000, SECOND, &[], &[]);
    assert!(loads.key(SessionId(1)).unwrap().requests_per_s < 20.0);
    // Forward by a day: silence.
    loads.observe(NOW + 86_400_000, SECOND, &[], &[]);
    assert!(loads.is_empty());
    // An interval of nothing is no report.
    loads.observe(NOW + 86_400_000, Duration::ZERO, &[key(1, u32::MAX, 0)], &[]);
    assert!(loads.is_empty());
}

#[test]
fn the_lightest_keys_go_when_there_are_too_many() {
    let mut loads = loads(100);
    let heavy: Vec<_> = (0..50).map(|n| key(n, 1_000, 0)).collect();
    loads.observe(NOW, SECOND, &heavy, &[]);
    for tick in 1..=20_u64 {
        let light: Vec<_> = (0..40).map(|n| key(u128::from(tick) * 1_000 + n, 1, 0)).collect();
        let reports: Vec<_> = heavy.iter().cloned().chain(light).collect();
        loads.observe(NOW + tick * 1_000, SECOND, &reports, &[]);
        assert!(loads.len().0 <= 100);
    }
    assert!((0..50).all(|n| loads.key(SessionId(n)).is_some()));
}

#[test]
fn equal_keys_do_not_outgrow_the_bound() {
    let mut loads = loads(64);
    for tick in 0..50_u64 {
        let equal: Vec<_> = (0..60).map(|n| key(u128::from(tick) * 100 + n, 5, 0)).collect();
        loads.observe(NOW + tick * 100, Duration::from_millis(100), &equal, &[]);
        let kept = loads.len().0;
        assert!((40..=64).contains(&kept), "{kept}");
    }
}

proptest! {
    #[test]
    fn the_heaviest_are_those_that_sorting_everything_finds(
        keys in proptest::collection::btree_map(0..500_u128, 0..1_000_u32, 0..60),
        buckets in proptest::collection::btree_map(any::<u16>(), 0..1_000_u32, 0..60),
        count in 0..30_usize,
    ) {
        let mut loads = loads(1_000);
        let keys: Vec<_> = keys.into_iter().map(|(s, n)| key(s, n, 0)).collect();
        let buckets: Vec<_> = buckets.into_iter().map(|(b, n)| bucket(b, n, 0)).collect();
        loads.observe(NOW, SECOND, &keys, &buckets);
        // Three groups, of which the last is nobody's.
        let group = |unit| Some(match unit {
            UnitKind::Key(SessionId(s)) => (s % 3) as usize,
            UnitKind::Bucket(b) => usize::from(b % 3),
        });
        let found = loads.heaviest(2, count, group, |rate| rate.requests_per_s);
        prop_assert_eq!(found.len(), 2);
        for (n, list) in found.iter().enumerate() {
            let mut all: Vec<_> = loads
                .iter()
                .filter(|(unit, rate)| group(*unit) == Some(n) && rate.requests_per_s > 0.0)
                .map(|(unit, rate)| (rate.requests_per_s, unit))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(count);
            let list: Vec<_> = list.iter().map(|l| (l.weight, l.unit)).collect();
            prop_assert_eq!(list, all);
        }
    }

    #[test]
    fn buckets_come_and_go_without_being_mistaken_for_each_other(
        ticks in proptest::collection::vec(proptest::collection::btree_map(0..200_u16, 1..100_u32, 0..30), 1..40),
    ) {
        let mut loads = loads(10);
        for (n, tick) in ticks.iter().enumerate() {
            let now_ms = NOW + n as u64 * 20_000;
            let reports: Vec<_> = tick.iter().map(|(b, n)| bucket(*b, *n, *n)).collect();
            loads.observe(now_ms, SECOND, &[], &reports);
            for b in 0..200 {
                let rate = loads.bucket(b);
                match tick.get(&b) {
                    Some(n) => prop_assert_eq!(rate.map(|r| r.open), Some(*n)),
                    None => prop_assert!(rate.is_none_or(|r| r.open == 0)),
                }
            }
            prop_assert_eq!(loads.iter().count(), loads.len().1);
        }
    }
}
