//! A back-test tells the truth: of an oracle, of persistence, of load that nobody can foresee, and of bad input.

use std::time::Duration;

use foreshift_forecast::{
    Prediction, PredictorOptions,
    backtest::{Answer, Error, Online, Options, QUANTILES, Report, Stepwise, run},
    series::Series,
};
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Says what `future` gives for the steps after the newest, as a point and as all quantiles.
struct Saying<F> {
    future: F,
    seen: usize,
    horizon: usize,
}

impl<F: Fn(usize, usize) -> f64> Stepwise for Saying<F> {
    fn observe(&mut self, _: Option<f64>) {
        self.seen += 1;
    }

    fn predict(&mut self) -> Option<Prediction> {
        let path: Vec<f64> = (1..=self.horizon)
            .map(|k| (self.future)(self.seen - 1, k))
            .collect();
        let quantiles = QUANTILES.iter().map(|&q| (q, path.clone())).collect();
        Prediction::new(path, quantiles).ok()
    }

    fn model(&self) -> &str {
        "saying"
    }
}

fn saying(horizon: usize, future: impl Fn(usize, usize) -> f64) -> impl Stepwise {
    Saying {
        future,
        seen: 0,
        horizon,
    }
}

fn series(values: Vec<f64>) -> Series {
    Series::new(0, MINUTE, values).unwrap()
}

fn report(values: &[f64], forecaster: &mut dyn Stepwise, options: &Options) -> Report {
    run(&series(values.to_vec()), forecaster, options, |_| {}).unwrap()
}

/// Surges of four minutes, every forty.
fn surges() -> Vec<f64> {
    (0..1_200).map(|t| if t % 40 < 4 { 90.0 } else { 30.0 }).collect()
}

#[test]
fn an_oracle_makes_no_error_and_foresees_every_overload_one_horizon_before() {
    let values = surges();
    let at = |t: usize| values.get(t).copied().unwrap_or(0.0);
    let options = Options {
        threshold: Some(80.0),
        periods: vec![40],
        ..Options::new(8)
    };
    let report = report(&values, &mut saying(8, |now, k| at(now + k)), &options);
    assert_eq!(report.forecast.overall.mae, 0.0);
    assert_eq!(report.forecast.overall.band_coverage, Some(1.0));
    let warning = report.early_warning.as_ref().unwrap();
    let tally = &warning.predicted(0.9).unwrap().tally;
    assert_eq!(
        (tally.foreseen, tally.missed, tally.false_alarms),
        (warning.overloads, 0, 0)
    );
    assert_eq!(tally.lead_median(), Some(8));
    let plain = &warning.present(1.0).unwrap().tally;
    assert_eq!(
        (plain.foreseen, plain.false_alarms),
        (0, 0),
        "no sooner than the overload"
    );
    assert_eq!(report.verdict.answer, Answer::Helps, "{:?}", report.verdict);
}

#[test]
fn surges_that_repeat_are_foreseen_by_the_online_pool() {
    let options = Options {
        threshold: Some(80.0),
        warm_up: Some(200),
        ..Options::new(8)
    };
    let mut online = Online::new(PredictorOptions {
        horizon: Duration::from_secs(4),
        quantiles: QUANTILES.to_vec(),
        ..PredictorOptions::default()
    })
    .unwrap();
    let report = report(&surges(), &mut online, &options);
    let warning = report.early_warning.as_ref().unwrap();
    let tally = &warning.predicted(0.9).unwrap().tally;
    assert!(
        tally.foreseen >= 20 && tally.missed + tally.false_alarms <= 2,
        "{tally:?}"
    );
    assert_eq!(report.verdict.answer, Answer::Helps, "{:?}", report.verdict);
}

#[test]
fn surges_without_a_sign_are_said_to_be_so() {
    // From a hash of the step, so that nothing before tells of them.
    let is_surge = |t: usize| (t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 == 0;
    let values: Vec<f64> = (0..5_000)
        .map(|t| if is_surge(t) { 95.0 } else { 20.0 })
        .collect();
    let options = Options {
        threshold: Some(80.0),
        ..Options::new(5)
    };
    let report = report(&values, &mut saying(5, |_, _| 21.0), &options);
    assert_eq!(report.verdict.answer, Answer::WillNotHelp, "{:?}", report.verdict);
    assert!(
        report.verdict.reasons[0].contains("without a sign"),
        "{:?}",
        report.verdict
    );
}

#[test]
fn load_that_climbs_slowly_needs_no_more_than_a_plain_threshold() {
    let values: Vec<f64> = (0..3_000).map(|t| f64::from(t % 100)).collect();
    let at = |t: usize| (t % 100) as f64;
    let options = Options {
        threshold: Some(90.0),
        ..Options::new(10)
    };
    let report = report(&values, &mut saying(10, |now, k| at(now + k)), &options);
    assert_eq!(report.verdict.answer, Answer::WillNotHelp, "{:?}", report.verdict);
    assert!(
        report.verdict.reasons[0].contains("plain threshold"),
        "{:?}",
        report.verdict
    );
}

#[test]
fn what_cannot_be_tested_is_a_clear_error() {
    let nan = f64::NAN;
    let options = Options::new(2);
    let of = |values: Vec<f64>, options: &Options| {
        let mut forecaster = saying(options.horizon, |_, _| 1.0);
        run(&series(values), &mut forecaster, options, |_| {}).map(|report| report.verdict.answer)
    };
    for values in [vec![], vec![1.0], vec![1.0; 2]] {
        assert!(matches!(of(values, &options), Err(Error::TooShort { .. })));
    }
    assert_eq!(of(vec![nan; 99], &options), Err(Error::AllMissing { steps: 99 }));
    let mut late = vec![1.0; 50];
    late.extend([nan; 50]);
    let only_warm_up = Options {
        warm_up: Some(60),
        ..options.clone()
    };
    assert_eq!(of(late, &only_warm_up), Err(Error::NothingScored { warm_up: 60 }));
    assert!(matches!(
        of(vec![1e300; 99], &options),
        Err(Error::TooLarge { index: 0, .. })
    ));
    assert_eq!(of(vec![7.0; 99], &options), Ok(Answer::WillNotHelp), "constant");
    assert_eq!(of(vec![1e-300; 99], &options), Ok(Answer::WillNotHelp), "tiny");
    for (bad, error) in [
        (Options::new(0), "1 to 2016"),
        (Options::new(2_017), "1 to 2016"),
        (
            Options {
                threshold: Some(nan),
                ..options.clone()
            },
            "never be crossed",
        ),
        (
            Options {
                quantiles: vec![0.9, 0.5],
                ..options.clone()
            },
            "0.5",
        ),
        (
            Options {
                quantiles: vec![0.5],
                ..options
            },
            "not as agreed",
        ),
    ] {
        let refused = of(vec![1.0; 5_000], &bad).unwrap_err().to_string();
        assert!(refused.contains(error), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn persistence_scores_as_persistence_whatever_is_missing(
        values in proptest::collection::vec(prop_oneof![4 => -1e6..1e6_f64, 1 => Just(f64::NAN)], 30..120),
        horizon in 1..6_usize,
    ) {
        let mut held = values.clone();
        for t in 1..held.len() {
            if held[t].is_nan() {
                held[t] = held[t - 1];
            }
        }
        let at = |t: usize| if held[t].is_nan() { 0.0 } else { held[t] };
        let options = Options { threshold: Some(5e5), warm_up: Some(5), ..Options::new(horizon) };
        let mut forecaster = saying(horizon, |now, _| at(now));
        if let Ok(report) = run(&series(values), &mut forecaster, &options, |_| {}) {
            for (own, persistence) in report.forecast.by_horizon.iter().zip(&report.persistence.by_horizon) {
                prop_assert_eq!(own.count, persistence.count);
                prop_assert!((own.mae - persistence.mae).abs() <= 1e-9 * own.mae);
            }
            let warning = report.early_warning.unwrap();
            for row in &warning.rows {
                prop_assert_eq!(row.tally.foreseen + row.tally.missed, warning.overloads);
                prop_assert!((0.0..=1.0).contains(&row.tally.score()));
            }
        }
    }
}
