//! What every ARIMA fit keeps to, whatever the series: errors or finite answers, and units that do not matter.

use foreshift_forecast::{
    Fit, FitError, Fitted,
    batch::{Arima, ArimaOptions, arima::Search},
};
use proptest::prelude::*;

const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

fn quick() -> ArimaOptions {
    ArimaOptions {
        search: Search::Quick,
        ..ArimaOptions::default()
    }
}

/// One of each kind.
fn models() -> Vec<Arima> {
    vec![
        Arima::auto(),
        Arima::auto().with_options(quick()),
        Arima::auto_seasonal(7),
        Arima::auto_seasonal(60),
        Arima::of_order(0, 0, 0),
        Arima::of_order(3, 2, 3),
        Arima::of_order(1, 1, 0).with_constant(true),
        Arima::seasonal((1, 0, 1), (1, 1, 1), 5),
    ]
}

/// Series that are apt to break a fit: flat, tiny, huge, stepped, with one spike, trending, or plain noise.
fn any_series() -> impl Strategy<Value = Vec<f64>> {
    let scale = prop_oneof![Just(1.0), Just(1e-300), Just(1e-9), Just(1e9), Just(9e99)];
    let offset = prop_oneof![Just(0.0), Just(1.0), Just(-0.99), Just(1e-3)];
    let shape = 0..8_u8;
    (prop::collection::vec(-1.0..1.0_f64, 0..140), scale, offset, shape).prop_map(
        |(noise, scale, offset, shape)| {
            let mut level = 0.0;
            let at = |(t, e): (usize, &f64)| match shape {
                0 => 0.0,
                1 => e * 0.01,
                2 => f64::from(u8::from(t > 20)),
                3 => f64::from(u8::from(t == 20)),
                4 => t as f64 / 140.0,
                5 => {
                    level += e / 140.0;
                    level
                }
                6 => (t % 7) as f64 / 7.0,
                _ => (e * 3.0).round() / 3.0 * 0.01,
            };
            let unit: Vec<f64> = noise.iter().enumerate().map(at).collect();
            unit.iter().map(|y| (y + offset) * scale).collect()
        },
    )
}

fn check(fitted: &dyn Fitted, what: &str) -> Result<(), TestCaseError> {
    let prediction = fitted.predict(30, &QUANTILES);
    prop_assert_eq!(prediction.point().len(), 30, "{}", what);
    prop_assert_eq!(prediction.quantiles().len(), 3, "{}", what);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_series_gives_an_error_or_finite_paths(
        series in any_series(),
        later in prop::collection::vec(
            prop_oneof![
                (-1e3..1e3_f64).prop_map(Some),
                Just(None),
                Just(Some(f64::NAN)),
                Just(Some(1e100)),
                Just(Some(-1e100)),
            ],
            0..20,
        ),
    ) {
        for model in models() {
            if let Ok(mut fitted) = model.fit(&series) {
                let what = format!("{model:?}");
                check(&*fitted, &what)?;
                for y in &later {
                    prop_assert!(fitted.update(*y));
                    check(&*fitted, &what)?;
                }
            }
        }
    }

    #[test]
    fn units_do_not_matter(
        noise in prop::collection::vec(-1.0..1.0_f64, 60..120),
        factor in prop_oneof![Just(1e-250), Just(1e-3), Just(1024.0), Just(1e90)],
    ) {
        let mut level = 5.0;
        let series: Vec<f64> = noise.iter().map(|e| { level = 0.6 * level + e; level }).collect();
        let scaled: Vec<f64> = series.iter().map(|y| y * factor).collect();
        for model in [Arima::of_order(1, 0, 1), Arima::of_order(1, 1, 1)] {
            let (one, other) = (model.fit(&series), model.fit(&scaled));
            let (one, other) = (one.expect("long enough"), other.expect("long enough"));
            let (one, other) = (one.predict(5, &QUANTILES), other.predict(5, &QUANTILES));
            for (a, b) in one.quantiles().iter().zip(other.quantiles()) {
                for (a, b) in a.1.iter().zip(&b.1) {
                    prop_assert!((a - b / factor).abs() < 1e-3, "{model:?} {a} {b}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_fitted_is_an_error_that_says_why() {
    let values: Vec<f64> = (0..50_i32).map(|t| f64::from(t % 11)).collect();
    let with = |y: f64| {
        let mut values = values.clone();
        values[3] = y;
        values
    };
    for model in models() {
        for train in [vec![], vec![1.0]] {
            let error = model.fit(&train).err().expect("too short");
            assert!(matches!(error, FitError::TooShort { .. }), "{model:?}: {error}");
        }
        for y in [f64::NAN, f64::INFINITY, -1e101] {
            let error = model.fit(&with(y)).err().expect("a value that cannot be used");
            assert_eq!(error, FitError::Value { index: 3 }, "{model:?}");
        }
    }
    for model in [
        Arima::auto_seasonal(61),
        Arima::of_order(200, 0, 0),
        Arima::of_order(0, 4, 0),
        Arima::seasonal((0, 0, 0), (1, 0, 0), 1),
        Arima::seasonal((0, 0, 0), (2, 1, 0), 168),
    ] {
        let error = model.fit(&values).err().expect("out of bounds");
        assert!(matches!(error, FitError::Unsuitable { .. }), "{model:?}: {error}");
    }
}

#[test]
fn a_series_without_noise_goes_on_as_it_does() {
    for (train, next) in [
        (vec![7.5; 40], [7.5, 7.5]),
        ((0..40_i32).map(f64::from).collect::<Vec<f64>>(), [40.0, 41.0]),
        ((0..41_i32).map(|t| f64::from(t * t)).collect(), [1681.0, 1764.0]),
    ] {
        let prediction = Arima::auto().fit(&train).expect("long enough").predict(2, &[0.9]);
        for (found, expected) in prediction.point().iter().zip(next) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert!((prediction.quantiles()[0].1[0] - next[0]).abs() < 1e-6);
    }
}

#[test]
fn updating_is_the_same_as_having_seen_it() {
    let series: Vec<f64> = (0..300_i32)
        .map(|t| 50.0 + 20.0 * (f64::from(t) * 0.7).sin() + f64::from(t * t % 17))
        .collect();
    // The estimates differ a little, as the second model was fitted to more.
    for model in [
        Arima::of_order(2, 0, 1),
        Arima::of_order(1, 1, 1),
        Arima::seasonal((1, 0, 0), (0, 1, 1), 9),
    ] {
        let mut followed = model.estimate(&series[..280]).expect("long enough");
        let whole = model.estimate(&series).expect("long enough");
        for y in &series[280..] {
            followed.update(Some(*y));
        }
        let (a, b) = (followed.predict(5, &[]), whole.predict(5, &[]));
        for (a, b) in a.point().iter().zip(b.point()) {
            assert!((a - b).abs() < 2.0, "{model:?} {a} {b}");
        }
    }
}

#[test]
fn a_gap_widens_the_interval_until_values_come_again() {
    let mut level = 0.0;
    let mut walk = |t: i32| {
        level += f64::from(t * t % 23) - 9.0;
        level
    };
    let series: Vec<f64> = (0..200).map(&mut walk).collect();
    let width = |fitted: &dyn Fitted| {
        let prediction = fitted.predict(1, &[0.1, 0.9]);
        prediction.quantiles()[1].1[0] - prediction.quantiles()[0].1[0]
    };
    let mut fitted = Arima::of_order(1, 1, 1).fit(&series).expect("long enough");
    let settled = width(&*fitted);
    for _ in 0..5 {
        fitted.update(None);
    }
    assert!(width(&*fitted) > 1.2 * settled);
    for y in &series {
        fitted.update(Some(*y));
    }
    assert!((width(&*fitted) - settled).abs() < 1e-6 * settled);
}
