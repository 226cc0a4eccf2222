//! A surge that comes again is in the forecast before it comes the fourth time.

use crate::common::{Source, Surge, run};

const HORIZON: usize = 20;

/// Checks each forecast from two periods after the first surge on, away from the surges' edges.
fn assert_surges_are_foreseen(surge: Surge, seed: u64) {
    let end = surge.first + 6 * surge.period;
    let series = Source::new(seed).surges(end, surge);
    let high = surge.base + 0.8 * surge.height;
    run(&series, |t, predictor, forecast| {
        let third_is_over = t + HORIZON + 1 >= surge.first + 3 * surge.period;
        let (Some(forecast), true) = (forecast, third_is_over && !surge.is_on(t)) else {
            return;
        };
        let peak = forecast.peak(0.9).expect("0.9 is always there").score;
        match (1..=HORIZON + 1).find(|&h| surge.is_on(t + h)) {
            Some(h) if h < HORIZON => {
                assert!(
                    peak > high,
                    "{surge:?}: {peak} at step {t}, the surge is {h} steps ahead"
                );
                assert!(!predictor.gated(), "{surge:?}: gated at step {t}");
                let crosses_ms = forecast.crosses_in_ms(0.9, high).expect("the peak is above");
                assert!(
                    h < 4 || crosses_ms.abs_diff(h as u64 * 500) <= 1_000,
                    "{surge:?}: {crosses_ms} ms at step {t} for {h} steps"
                );
            }
            None if !surge.is_on(t.saturating_sub(1)) => {
                assert!(peak < high, "{surge:?}: {peak} at step {t}, no surge is near");
            }
            _ => {}
        }
    });
}

#[test]
fn a_surge_each_thirty_seconds_or_minute_is_seen_ten_seconds_before_the_fourth() {
    let mut seed = 0;
    for (period, width) in [(60, 4), (60, 8), (60, 12), (120, 8), (120, 20)] {
        for noise in [0.0, 2.0, 4.0] {
            for first in [5, 33, 61] {
                seed += 1;
                let surge = Surge {
                    period,
                    width,
                    first,
                    base: 30.0,
                    height: 60.0,
                    noise,
                };
                assert_surges_are_foreseen(surge, seed);
            }
        }
    }
}

#[test]
fn surges_that_begin_on_a_node_long_quiet_are_seen_just_so() {
    for (period, first) in [(60, 350), (120, 1_000)] {
        let surge = Surge {
            period,
            width: 8,
            first,
            base: 20.0,
            height: 65.0,
            noise: 2.0,
        };
        assert_surges_are_foreseen(surge, first as u64);
    }
}

#[test]
fn the_period_is_told_as_it_is() {
    for (period, step_s) in [(60, 30.0), (120, 60.0), (24, 12.0)] {
        let surge = Surge {
            period,
            width: 6,
            first: 10,
            base: 30.0,
            height: 50.0,
            noise: 2.0,
        };
        let series = Source::new(7).surges(4 * period, surge);
        let forecast = run(&series, |_, _, _| {}).forecast().expect("much was seen");
        assert_eq!(forecast.period_steps(), Some(period));
        assert_eq!(forecast.period_s(), Some(step_s));
        assert_eq!(forecast.model(), "seasonal");
    }
}

#[test]
fn surges_that_stop_are_forgotten_within_four_periods() {
    let surge = Surge {
        period: 60,
        width: 8,
        first: 10,
        base: 30.0,
        height: 55.0,
        noise: 2.0,
    };
    let mut source = Source::new(11);
    let mut series = source.surges(600, surge);
    series.extend(source.surges(300, Surge { height: 0.0, ..surge }));
    let mut late_alarms = 0;
    let predictor = run(&series, |t, _, forecast| {
        let peak = forecast.and_then(|f| f.peak(0.9)).map_or(0.0, |peak| peak.score);
        late_alarms += usize::from(t > 600 + 4 * 60 && peak > 60.0);
    });
    assert_eq!(late_alarms, 0);
    assert_eq!(predictor.forecast().expect("much was seen").period_steps(), None);
}

#[test]
fn surges_a_step_early_or_late_and_of_varying_height_are_still_seen() {
    let (mut seen, mut all) = (0, 0);
    for seed in 0..10 {
        let mut source = Source::new(seed);
        let surges: Vec<(usize, f64)> = (0..8)
            .map(|i| {
                (
                    20 + i * 60 + (source.uniform() * 3.0) as usize,
                    48.0 + 24.0 * source.uniform(),
                )
            })
            .collect();
        let at = |t: usize| {
            let on = surges.iter().find(|(start, _)| (*start..start + 8).contains(&t));
            on.map_or(30.0, |(_, height)| 30.0 + height)
        };
        let series: Vec<f64> = (0..480).map(|t| at(t) + 2.0 * source.normal()).collect();
        run(&series, |t, _, forecast| {
            let next = surges
                .iter()
                .skip(3)
                .find(|(start, _)| (t + 5..t + 18).contains(start));
            if let (Some(forecast), Some(_)) = (forecast, next) {
                all += 1;
                seen += usize::from(forecast.peak(0.9).is_some_and(|peak| peak.score > 65.0));
            }
        });
    }
    assert!(seen as f64 > 0.95 * all as f64, "{seen} of {all}");
}
