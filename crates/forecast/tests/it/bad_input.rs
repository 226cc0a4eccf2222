//! Every model there is on every series that nobody wishes for: an answer or a refusal, never a panic, never NaN.
//!
//! A table of the worst. What chance finds is for the properties beside each kind of model, and for the fuzz targets.

use std::{iter, sync::LazyLock};

use foreshift_forecast::{
    Autoregression, Fit, FitError, Forecaster, Holt, Lagged, LastSeason, LastValue, Multivariate, Predictor,
    PredictorOptions, Seasonal,
    batch::{
        Arima, ArimaOptions, Croston, Drift, Ets, Mstl, Naive, SeasonalNaive, Theta, Tsb, arima::Search,
    },
    learned::{InTurn, Lstm, Onnx, OnnxOptions, TrainOptions},
    selector::{Selector, SelectorOptions},
};

/// Largest value that models believe.
const BELIEVABLE_MAX: f64 = 1e100;
const QUANTILES: [f64; 3] = [0.05, 0.5, 0.95];

fn hard_series() -> Vec<(&'static str, Vec<f64>)> {
    let nan = f64::NAN;
    let wave = |unit: f64| (0..150).map(move |t| unit * (5.0 + f64::from(t % 12) + 0.1 * f64::from(t % 7)));
    let gaps = |t: i32, y: f64| if t % 3 == 0 { nan } else { y };
    let mixed = [
        1e300,
        1e-300,
        -1e100,
        0.0,
        1e100,
        f64::MAX,
        f64::MIN_POSITIVE,
        -1e-300,
    ];
    vec![
        ("empty", vec![]),
        ("one value", vec![7.0]),
        ("three values", vec![7.0, 8.0, 9.0]),
        ("shorter than any period", wave(1.0).take(20).collect()),
        ("zeros", vec![0.0; 150]),
        ("constant", vec![42.0; 150]),
        ("constant and negative", vec![-42.0; 150]),
        ("constant and tiny", vec![1e-300; 150]),
        ("constant and huge", vec![1e300; 150]),
        ("all missing", vec![nan; 150]),
        (
            "one value among missing ones",
            iter::once(3.0).chain(vec![nan; 149]).collect(),
        ),
        (
            "missing at first",
            vec![nan; 75].into_iter().chain(wave(1.0).take(75)).collect(),
        ),
        (
            "a third missing",
            (0..).zip(wave(1.0)).map(|(t, y)| gaps(t, y)).collect(),
        ),
        (
            "infinities",
            (0..150)
                .map(|t| [1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY][t % 4])
                .collect(),
        ),
        ("only infinities", vec![f64::INFINITY; 150]),
        ("of 1e-300", wave(1e-300).collect()),
        ("of 1e-320", wave(1e-320).collect()),
        ("of 1e98", wave(1e98).collect()),
        ("of 1e300", wave(1e300).collect()),
        (
            "from 1e-300 to 1e300",
            (0..150).map(|t| 10_f64.powi(4 * t - 300)).collect(),
        ),
        (
            "from 1e300 to 1e-300",
            (0..150).map(|t| 10_f64.powi(300 - 4 * t)).collect(),
        ),
        ("of any size", mixed.into_iter().cycle().take(150).collect()),
        (
            "one spike",
            (0..150).map(|t| if t == 140 { 1e100 } else { 0.0 }).collect(),
        ),
        ("then another unit", wave(1e-100).chain(wave(1e90)).collect()),
    ]
}

/// Smallest that there is.
static LSTM: LazyLock<Lstm> = LazyLock::new(|| {
    let options = TrainOptions {
        window: 12,
        horizon: 4,
        hidden: 3,
        epochs: 2,
        windows_per_epoch: 256,
        ..TrainOptions::default()
    };
    let series: Vec<f64> = (0..300)
        .map(|t| f64::from(t % 12) + f64::from(t * 7 % 5))
        .collect();
    Lstm::train(&[series.as_slice().into()], &options, &InTurn, |_| {}).expect("the series is long enough")
});

fn onnx() -> Onnx {
    let options = OnnxOptions {
        horizon: 3,
        ..OnnxOptions::default()
    };
    Onnx::from_bytes(include_bytes!("../fixtures/onnx/mlp.onnx"), options).expect("it keeps the contract")
}

/// Each kind of online model, seasons with periods that fit and that do not.
fn online() -> Vec<Box<dyn Forecaster>> {
    let mut models: Vec<Box<dyn Forecaster>> = vec![
        Box::new(LastValue::default()),
        Box::new(Holt::slow()),
        Box::new(Holt::fast()),
        Box::new(Holt::new("steepest", 1.0, 1.0, 1.0)),
        Box::new(Autoregression::of_order_4()),
        Box::new(Autoregression::<16>::new("ar16", 0.9995, 0.002)),
        Box::new(Lagged::new("ari", [1, 2, 3, 4], 1, 0.999, 0.001)),
        Box::new(Multivariate::of_node_signals(20)),
        Box::new(LSTM.forecaster(&[])),
        Box::new(onnx().forecaster()),
    ];
    for period in [0, 1, 2, 12, 100_000, usize::MAX] {
        models.push(Box::new(LastSeason::new(period)));
        models.push(Box::new(Seasonal::with_period(period)));
        models.push(Box::new(Lagged::new(
            "season_ar",
            [1, 2, period],
            period,
            0.999,
            0.002,
        )));
    }
    models
}

/// Each kind of model that is fitted.
fn batch() -> Vec<Box<dyn Fit>> {
    let search = ArimaOptions {
        search: Search::Quick,
        ..ArimaOptions::default()
    };
    let mut models: Vec<Box<dyn Fit>> = vec![
        Box::new(Naive),
        Box::new(Drift),
        Box::new(Theta::new(None)),
        Box::new(Ets::auto()),
        Box::new(Croston::new()),
        Box::new(Croston::corrected()),
        Box::new(Tsb),
        Box::new(Arima::auto()),
        Box::new(Arima::auto().with_options(search)),
        Box::new(LSTM.clone()),
        Box::new(onnx()),
    ];
    for period in [0, 1, 12, 100_000, usize::MAX] {
        models.push(Box::new(SeasonalNaive::new(period)));
        models.push(Box::new(Theta::new(Some(period))));
        models.push(Box::new(Mstl::new(vec![period, 5])));
        models.push(Box::new(Arima::auto_seasonal(period)));
        models.push(Box::new(Arima::seasonal((1, 0, 1), (0, 1, 1), period)));
    }
    models
}

/// Shows all values, and asks now and then.
fn drive(model: &mut dyn Forecaster, name: &str, series: &[f64], asked_every: usize) {
    let mut path = [f64::NAN; 30];
    for (t, &y) in series.iter().enumerate() {
        let signals = [Some(y), None, Some(1.0), None, Some(-y), Some(y), Some(0.0), None];
        model.update_with(Some(y), &signals);
        if t % asked_every == 0 {
            path.fill(f64::NAN);
            model.forecast(&mut path);
            assert!(
                path.iter().all(|y| y.is_finite()),
                "{}, {name}, step {t}: {path:?}",
                model.name()
            );
        }
    }
}

/// Fits, forecasts and goes on, or is refused for a reason that holds.
fn fit(model: &dyn Fit, name: &str, series: &[f64]) {
    let mut fitted = match model.fit(series) {
        Ok(fitted) => fitted,
        Err(FitError::Value { index }) => {
            let is_bad = series[index].is_nan() || series[index].abs() > BELIEVABLE_MAX;
            return assert!(is_bad, "{}, {name}, value {index}", model.name());
        }
        Err(FitError::TooShort { need, found, .. }) => {
            return assert!(found < need && found == series.len(), "{}, {name}", model.name());
        }
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let is_believable = series.iter().all(|y| y.abs() <= BELIEVABLE_MAX);
    assert!(is_believable, "{} was fitted to {name}", model.name());
    for then in [
        None,
        Some(1e100),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(1e-300),
        Some(0.0),
    ] {
        // What makes a prediction refuses what is not finite or crosses; an empty one would be short.
        let ahead = fitted.predict(20, &QUANTILES);
        assert_eq!(ahead.point().len(), 20, "{}, {name}", fitted.name());
        assert_eq!(
            ahead.quantiles().len(),
            QUANTILES.len(),
            "{}, {name}",
            fitted.name()
        );
        fitted.update(then);
    }
}

fn selector(model: &str, periods: &[usize]) -> Selector {
    let options = SelectorOptions {
        horizon: 8,
        model: model.into(),
        periods: periods.into(),
        ..SelectorOptions::default()
    };
    Selector::new(options).expect("valid")
}

#[test]
fn online_models_answer_any_series_finitely() {
    for (name, series) in hard_series() {
        for mut model in online() {
            drive(&mut *model, name, &series, 1);
        }
    }
}

#[test]
fn fitted_models_answer_any_series_finitely_or_say_why_not() {
    for (name, series) in hard_series() {
        for model in batch() {
            fit(&*model, name, &series);
        }
    }
}

#[test]
fn a_selector_of_any_model_answers_as_soon_as_four_values_were_seen() {
    for (name, series) in hard_series() {
        for (model, periods) in SelectorOptions::MODELS
            .iter()
            .flat_map(|model| [(model, &[][..]), (model, &[12][..]), (model, &[5, 20_000][..])])
        {
            let mut selector = selector(model, periods);
            let mut believable = 0;
            for &y in &series {
                selector.observe(Some(y));
                believable += usize::from(y.abs() <= BELIEVABLE_MAX);
                if let Some(refit) = selector.refit_due() {
                    selector.accept(refit.run());
                }
                assert_eq!(
                    selector.predict().is_some(),
                    believable >= 4,
                    "{model} {periods:?}, {name}"
                );
            }
            selector.refit();
            assert_eq!(
                selector.predict().is_some(),
                believable >= 4,
                "{model} {periods:?}, {name}"
            );
            assert!(!selector.choice().reason.is_empty(), "{model}, {name}");
        }
    }
}

#[test]
fn a_predictor_of_any_model_answers_as_soon_as_four_values_were_seen() {
    for (name, series) in hard_series() {
        for model in ["auto", "last_value", "holt", "ar", "seasonal"] {
            let options = PredictorOptions {
                model: model.into(),
                ..PredictorOptions::default()
            };
            let mut predictor = Predictor::new(options).expect("valid");
            let mut finite = 0;
            for (t, &y) in series.iter().enumerate() {
                predictor.observe(500 * t as u64, Some(y));
                finite += usize::from(y.is_finite());
                let is_missing_long = series[..=t].iter().rev().take(21).all(|y| !y.is_finite());
                let expected = finite >= 4 && !is_missing_long;
                assert_eq!(
                    predictor.forecast().is_some(),
                    expected,
                    "{model}, {name}, step {t}"
                );
            }
        }
    }
}

#[test]
fn settings_that_are_no_numbers_are_brought_to_some_that_can_be_used() {
    let nan = f64::NAN;
    let series: Vec<f64> = (0..60).map(|t| f64::from(t % 9)).collect();
    let models: [Box<dyn Forecaster>; 3] = [
        Box::new(Holt::new("holt", nan, nan, nan)),
        Box::new(Autoregression::<2>::new("ar", nan, nan)),
        Box::new(Lagged::new("lagged", [1, 2], 0, nan, nan)),
    ];
    for mut model in models {
        drive(&mut *model, "no settings", &series, 1);
    }
}

/// What a minute of load looks like over two years.
fn a_million() -> Vec<f64> {
    let load = |t: usize| 50.0 + ((t % 1_440) as f64 / 100.0) + (t * 7_919 % 101) as f64 / 50.0;
    (0..1_000_000).map(load).collect()
}

#[test]
fn a_million_values_are_taken_by_every_online_model() {
    let series = a_million();
    for mut model in online() {
        // Networks run once a step.
        let is_network = ["lstm", "onnx"].contains(&model.name());
        let taken = if is_network { 50_000 } else { series.len() };
        drive(&mut *model, "a million", &series[..taken], 100_000);
    }
}

#[test]
fn a_hundred_thousand_values_are_taken_by_a_selector_whose_memory_has_an_end() {
    let mut selector = selector("auto", &[]);
    for (t, &y) in a_million()[..100_000].iter().enumerate() {
        selector.observe(Some(y));
        // Some of the fits that fall due, so that a test does not take a minute.
        if t % 40_000 == 39_999 {
            selector.refit();
        }
    }
    assert_eq!(selector.predict().map(|ahead| ahead.point().len()), Some(8));
}

#[test]
fn a_million_values_are_fitted_to_by_every_model() {
    let series = a_million();
    for model in batch() {
        fit(&*model, "a million", &series);
    }
}
