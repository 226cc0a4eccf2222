//! The verdict of a back-test says no where a forecast is worth nothing, and yes where it is.

use std::time::Duration;

use foreshift_forecast::{
    backtest::{Answer, Options, QUANTILES, Report, Simple, run},
    selector::{Selector, SelectorOptions},
    series::Series,
};

use crate::common::Source;

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
