//! Laws of the pacer, for any rate and any times at which somebody asks.

use std::time::Duration;

use foreshift_migration::Pacer;
use proptest::prelude::*;

const START: Duration = Duration::from_secs(1_000);

/// The most that any window of one second holds.
fn densest(arrivals: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in arrivals.iter().enumerate() {
        while *at - arrivals[first] >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

fn rates() -> impl Strategy<Value = (u32, u32)> {
    (2u32..3000, 0u32..500)
}

proptest! {
    #[test]
    fn no_second_is_planned_fuller_than_the_limit(
        (rate, burst) in rates(),
        steps_us in proptest::collection::vec(0u64..20_000, 1..2000),
    ) {
        let (mut pacer, mut now) = (Pacer::new(rate, burst), START);
        let mut planned = Vec::new();
        for step in steps_us {
            now += Duration::from_micros(step);
            let at = pacer.reserve(now);
            prop_assert!(at >= now);
            planned.push(at);
        }
        prop_assert!(planned.is_sorted());
        prop_assert!(densest(&planned) <= rate as usize);
    }

    #[test]
    fn no_second_lets_in_more_than_the_limit_and_who_waits_as_told_gets_in(
        (rate, burst) in rates(),
        steps_us in proptest::collection::vec(0u64..20_000, 1..2000),
    ) {
        let (mut pacer, mut now) = (Pacer::new(rate, burst), START);
        let mut let_in = Vec::new();
        for (n, step) in steps_us.into_iter().enumerate() {
            now += Duration::from_micros(step);
            match pacer.admit(now) {
                Ok(()) => let_in.push(now),
                Err(later) => {
                    prop_assert!(later > now);
                    if n % 3 == 0 {
                        now = later;
                        prop_assert_eq!(pacer.admit(now), Ok(()));
                        let_in.push(now);
                    }
                }
            }
        }
        prop_assert!(densest(&let_in) <= rate as usize);
    }

    #[test]
    fn a_crowd_is_let_in_at_nine_tenths_of_the_limit_at_least((rate, _) in rates()) {
        let rate = rate.max(20);
        let mut pacer = Pacer::new(rate, rate / 20);
        let start = START;
        let last = (0..10 * rate).map(|_| pacer.reserve(start)).last().expect("at least 200");
        prop_assert!(last - start <= Duration::from_millis(11_200));
    }
}

#[test]
fn one_a_second_is_one_a_second() {
    let mut pacer = Pacer::new(1, 1);
    let start = START;
    assert_eq!(pacer.reserve(start), start);
    assert_eq!(pacer.reserve(start), start + Duration::from_secs(1));
    assert_eq!(pacer.admit(start), Err(start + Duration::from_secs(2)));
}
