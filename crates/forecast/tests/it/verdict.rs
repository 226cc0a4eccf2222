//! The verdict of a back-test says no where a forecast is worth nothing, and yes where it is.

use std::time::Duration;

use foreshift_forecast::{
    backtest::{Answer, Options, QUANTILES, Report, Simple, run},
    selector::{Selector, SelectorOptions},
    series::Series,
};

use crate::common::{Source, Surge};

const HORIZON: usize = 8;

fn report(values: Vec<f64>, options: &Options) -> Report {
    let series = Series::new(0, Duration::from_secs(60), values).unwrap();
    let selector = SelectorOptions {
        horizon: HORIZON,
        quantiles: QUANTILES.to_vec(),
        model: "online".into(),
        periods: options.periods.clone(),
        ..SelectorOptions::default()
    };
    let mut selector = Selector::new(selector).unwrap();
    run(&series, &mut selector, options, |_| {}).unwrap()
}

#[test]
fn noise_and_random_walks_are_not_foreseen_and_seasons_are() {
    let mut source = Source::new(7);
    for (name, values, expected) in [
        ("noise", source.noise(4_000), Answer::WillNotHelp),
        ("random walk", source.random_walk(4_000), Answer::WillNotHelp),
        ("season", source.wave(4_000, 48), Answer::Helps),
    ] {
        let options = Options {
            periods: vec![48],
            ..Options::new(HORIZON)
        };
        let report = report(values, &options);
        let verdict = &report.verdict;
        assert_eq!(verdict.answer, expected, "{name}: {verdict:?}");
        let (simple, _) = report.best_simple(HORIZON - 1).unwrap();
        assert!(
            verdict.reasons[0].ends_with(&simple.to_string()),
            "{name}: {verdict:?}"
        );
    }
}

#[test]
fn what_is_best_for_noise_is_the_mean_of_many_values() {
    let report = report(Source::new(3).noise(4_000), &Options::new(HORIZON));
    let (simple, error) = report.best_simple(HORIZON - 1).unwrap();
    assert_eq!(simple, Simple::SmoothedLevel { length: 128 });
    // The mean absolute deviation of a normal distribution is 0.798 of its standard deviation, which is 5.
    assert!((error - 0.798 * 5.0).abs() < 0.15, "{error}");
}

fn with_threshold(values: Vec<f64>, threshold: f64) -> Report {
    let options = Options {
        threshold: Some(threshold),
        ..Options::new(HORIZON)
    };
    report(values, &options)
}

#[test]
fn an_alarm_that_is_hardly_ever_off_does_not_win() {
    // Noise of 40 ± 5: overloads every one to some six horizons, at random.
    for threshold in [45.0, 47.0, 48.0, 50.0] {
        let report = with_threshold(Source::new(5).noise(4_000), threshold);
        let warning = report.early_warning.as_ref().unwrap();
        let best = [warning.best_predicted(), warning.best_present()];
        for best in best.into_iter().flatten() {
            assert!(best.tally.vain_share() <= 0.25, "{threshold}: {best:?}");
        }
        let verdict = &report.verdict;
        assert_eq!(verdict.answer, Answer::WillNotHelp, "{threshold}: {verdict:?}");
        let reason = &verdict.reasons[0];
        assert!(!reason.contains("use that"), "{threshold}: {verdict:?}");
        assert_eq!(
            reason.contains("so frequent"),
            threshold < 50.0,
            "{threshold}: {verdict:?}"
        );
    }
}

#[test]
fn an_alarm_that_is_on_for_long_but_always_right_is_one() {
    // Surges of four steps, every thirty: an alarm one horizon before is on for a third of the calm time.
    let values: Vec<f64> = (0..1_500).map(|t| if t % 30 < 4 { 90.0 } else { 30.0 }).collect();
    let verdict = with_threshold(values, 80.0).verdict;
    assert_ne!(verdict.answer, Answer::WillNotHelp, "{verdict:?}");
}

#[test]
fn a_threshold_that_tells_nothing_is_answered_with_one_that_does() {
    let values = Source::new(9).surges(
        2_400,
        Surge {
            period: 100,
            width: 6,
            first: 50,
            base: 20.0,
            height: 60.0,
            noise: 1.0,
        },
    );
    for (threshold, parts) in [
        (
            500.0,
            [
                "there was no overload; the highest value is 8",
                "a lower threshold, such as 8",
            ],
        ),
        (
            1.0,
            ["above 1 for 100 % of the time", "a higher threshold, such as 8"],
        ),
    ] {
        let report = with_threshold(values.clone(), threshold);
        let verdict = &report.verdict;
        assert_eq!(verdict.answer, Answer::CannotTell, "{verdict:?}");
        assert!(
            parts.iter().all(|part| verdict.reasons[0].contains(part)),
            "{verdict:?}"
        );
        let again = with_threshold(values.clone(), report.early_warning.unwrap().suggestion.unwrap());
        assert_ne!(again.verdict.answer, Answer::CannotTell, "{:?}", again.verdict);
    }
    let mut once = values;
    once[2_000] = 900.0;
    let verdict = with_threshold(once, 500.0).verdict;
    assert!(
        verdict.reasons[0].starts_with("there was 1 overload, up to 900"),
        "{verdict:?}"
    );
}
