//! Whatever the input: no panic, and finite values in order for any finite series.

use foreshift_forecast::{
    Fit, FitError, Prediction,
    batch::{Croston, Drift, Ets, Mstl, Naive, SeasonalNaive, Theta, Tsb},
};
use proptest::prelude::*;

use crate::common::notice;

/// Every model, over periods that do and do not fit.
fn models() -> Vec<Box<dyn Fit>> {
    let mut models: Vec<Box<dyn Fit>> = vec![
        Box::new(Naive),
        Box::new(Drift),
        Box::new(Theta::new(None)),
        Box::new(Ets::auto()),
    ];
    models.push(Box::new(Croston::new()));
    models.push(Box::new(Croston::corrected()));
    models.push(Box::new(Tsb));
    for period in [0, 1, 2, 7, 24, usize::MAX] {
        models.push(Box::new(SeasonalNaive::new(period)));
        models.push(Box::new(Theta::new(Some(period))));
        models.push(Box::new(Mstl::new(vec![period, 3])));
    }
    models
}

const QUANTILES: [f64; 5] = [0.001, 0.1, 0.5, 0.9, 0.999];

/// [`Prediction`] itself holds that values are finite and quantiles in order.
fn check(name: &str, prediction: &Prediction, horizon: usize) {
    assert_eq!(prediction.point().len(), horizon, "{name}");
    assert_eq!(prediction.quantiles().len(), QUANTILES.len(), "{name}");
    assert!(prediction.point().iter().all(|y| y.is_finite()), "{name}");
}

/// Fits, forecasts, and goes on with updates; a refusal must be one that the seam allows.
fn exercise(model: &dyn Fit, train: &[f64], then: &[Option<f64>]) {
    let mut fitted = match model.fit(train) {
        Ok(fitted) => fitted,
        Err(FitError::TooShort { need, found, .. }) => {
            assert!(found < need && found == train.len(), "{}", model.name());
            return;
        }
        Err(FitError::Unsuitable { reason, .. }) => return assert!(!reason.is_empty()),
        Err(error) => panic!("{} refused {train:?}: {error}", model.name()),
    };
    for horizon in [1, 30] {
        check(fitted.name(), &fitted.predict(horizon, &QUANTILES), horizon);
    }
    for &y in then {
        fitted.update(y);
        check(fitted.name(), &fitted.predict(5, &QUANTILES), 5);
    }
    assert_eq!(fitted.predict(0, &QUANTILES), Prediction::default());
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -100.0..100.0,
        2 => (0_u32..5).prop_map(f64::from),
        1 => Just(0.0),
    ]
}

fn series() -> impl Strategy<Value = Vec<f64>> {
    let sizes = prop_oneof![0_usize..12, 12_usize..120];
    let shape = (sizes, -300_i32..100, any::<bool>(), any::<bool>());
    shape.prop_flat_map(|(size, exponent, positive, walk)| {
        proptest::collection::vec(value(), size).prop_map(move |values| {
            let mut sum = 0.0;
            let unit = 10_f64.powi(exponent - 5);
            let next = |y: f64| {
                let y = if positive { y.abs() } else { y };
                sum += y;
                unit * if walk { sum } else { y }
            };
            values.into_iter().map(next).collect()
        })
    })
}

fn later() -> impl Strategy<Value = Vec<Option<f64>>> {
    let wild = prop_oneof![
        Just(0.0),
        Just(1e100),
        Just(-1e100),
        Just(1e-300),
        Just(f64::NAN),
        Just(f64::INFINITY),
        -10.0..10.0
    ];
    proptest::collection::vec(proptest::option::of(wild), 0..20)
}

proptest! {
    #[test]
    fn finite_series_have_finite_forecasts(train in series(), then in later()) {
        for model in models() {
            exercise(&*model, &train, &then);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_unit_of_a_series_makes_no_difference(train in proptest::collection::vec(1.0..9.0, 30..80), power in -300_i32..280) {
        let unit = 2_f64.powi(power);
        let scaled: Vec<f64> = train.iter().map(|y| y * unit).collect();
        for model in models() {
            let (Ok(one), Ok(other)) = (model.fit(&train), model.fit(&scaled)) else { continue };
            let (one, other) = (one.predict(8, &QUANTILES), other.predict(8, &QUANTILES));
            for ((q, one), (_, other)) in one.quantiles().iter().zip(other.quantiles()) {
                for (a, b) in one.iter().zip(other) {
                    prop_assert!((a - b / unit).abs() <= 1e-6 * a.abs().max(1.0), "{} {}: {} {}", model.name(), q, a, b / unit);
                }
            }
        }
    }
}

#[test]
fn what_is_not_a_believable_number_is_refused_with_its_place() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e100] {
        let mut train = vec![1.0; 60];
        train[17] = bad;
        for model in models() {
            let refused = model.fit(&train).err();
            let of_its_own = matches!(refused, Some(FitError::Unsuitable { .. }));
            assert!(
                of_its_own || refused == Some(FitError::Value { index: 17 }),
                "{}: {refused:?}",
                model.name()
            );
        }
    }
}

#[test]
fn constant_and_extreme_series_are_answered() {
    let ramp = |n: usize, unit: f64| (0..n).map(move |t| unit * t as f64).collect::<Vec<_>>();
    let spike = |at: usize, y: f64| {
        let mut values = vec![0.0; 100];
        values[at] = y;
        values
    };
    let mixed = |t: usize| if t.is_multiple_of(2) { 1e100 } else { 1e-300 };
    let cases = [
        vec![],
        vec![0.0],
        vec![1e100],
        vec![-1e100, 1e100],
        vec![0.0; 80],
        vec![5.0; 80],
        vec![1e100; 80],
        vec![1e-300; 80],
        vec![-3.0; 80],
        ramp(80, 1.0),
        ramp(80, 1e98),
        ramp(80, 1e-302),
        ramp(80, -1e98),
        spike(0, 1e100),
        spike(99, 1e100),
        spike(50, -1e100),
        spike(99, f64::MIN_POSITIVE),
        (0..80).map(mixed).collect(),
        vec![f64::from_bits(1); 80],
        (0..200).map(|t| 2_f64.powi(t - 100)).collect(),
        (0..200).map(|t| 2_f64.powi(100 - t)).collect(),
    ];
    for train in &cases {
        for model in models() {
            exercise(&*model, train, &[Some(1e100), None, Some(-1e100), Some(0.0)]);
        }
    }
    notice(&format!("{} cases", cases.len()));
}

#[test]
fn long_series_are_fitted_in_bounded_time() {
    let load = |t: usize| 50.0 + ((t % 1440) as f64 / 100.0) + (t * 7919 % 101) as f64 / 50.0;
    let train: Vec<f64> = (0..300_000).map(load).collect();
    let long: [Box<dyn Fit>; 5] = [
        Box::new(Theta::new(Some(1440))),
        Box::new(Ets::auto()),
        Box::new(Mstl::new(vec![1440, 10_080])),
        Box::new(SeasonalNaive::new(1440)),
        Box::new(Tsb),
    ];
    for model in long {
        exercise(&*model, &train, &[Some(60.0), None]);
    }
}
