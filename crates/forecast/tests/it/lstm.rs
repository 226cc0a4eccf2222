//! The network that is trained over many series: it learns what it can, the same from the same seed, and no bytes that
//! are said to be one make it panic.

use foreshift_forecast::{
    Fit, Forecaster, Prediction,
    learned::{Executor, InTurn, Job, LoadError, Lstm, TrainError, TrainOptions, TrainSeries},
};
use proptest::prelude::*;
use std::sync::LazyLock;

use crate::common::Source;

/// Two threads, each with every second job.
struct TwoThreads;

impl Executor for TwoThreads {
    fn run(&self, jobs: Vec<Job<'_>>) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (i, job) in jobs.into_iter().enumerate() {
            if i % 2 == 0 {
                left.push(job);
            } else {
                right.push(job);
            }
        }
        std::thread::scope(|scope| {
            scope.spawn(|| right.into_iter().for_each(|job| job()));
            left.into_iter().for_each(|job| job());
        });
    }
}

const PERIOD: usize = 24;
const HORIZON: usize = 6;

fn options() -> TrainOptions {
    TrainOptions {
        window: 12,
        horizon: HORIZON,
        hidden: 12,
        periods: vec![PERIOD],
        epochs: 8,
        windows_per_epoch: 2_048,
        ..TrainOptions::default()
    }
}

/// A daily shape at a level and of a size of its own, with noise.
fn daily(seed: u64, n: usize) -> Vec<f64> {
    let mut source = Source::new(seed);
    let (level, size) = (10.0 + 90.0 * source.uniform(), 5.0 + 20.0 * source.uniform());
    let shape = |t: usize| [0.0, 0.1, 0.4, 1.0, 0.8, 0.3][t % PERIOD / 4];
    (0..n)
        .map(|t| level + size * (shape(t) + 0.05 * source.normal()))
        .collect()
}

fn train(series: &[Vec<f64>], options: &TrainOptions, executor: &dyn Executor) -> Result<Lstm, TrainError> {
    let series: Vec<TrainSeries<'_>> = series.iter().map(|values| values.as_slice().into()).collect();
    Lstm::train(&series, options, executor, |_| {})
}

/// Trained on eight series, once for all tests here.
static TRAINED: LazyLock<Lstm> = LazyLock::new(|| {
    let series: Vec<Vec<f64>> = (0..8).map(|seed| daily(seed, 400)).collect();
    train(&series, &options(), &InTurn).expect("the series are long enough")
});

#[test]
fn a_season_that_it_learned_on_some_series_it_foretells_on_another() {
    let series = daily(99, 600);
    let (mut error, mut persistence, mut covered, mut counted) = (0.0, 0.0, 0, 0);
    for t in (200..590).step_by(3) {
        let ahead = TRAINED.fit(&series[..t]).unwrap().predict(HORIZON, &[0.05, 0.95]);
        let (low, high) = (ahead.quantile(0.05).unwrap(), ahead.quantile(0.95).unwrap());
        for h in 0..HORIZON {
            let y = series[t + h];
            error += (y - ahead.point()[h]).abs();
            persistence += (y - series[t - 1]).abs();
            covered += usize::from(low[h] <= y && y <= high[h]);
            counted += 1;
        }
    }
    assert!(error < 0.3 * persistence, "{error} of {persistence}");
    let share = f64::from(covered as u32) / f64::from(counted as u32);
    assert!((0.80..=0.98).contains(&share), "{share}");
    assert!(TRAINED.header().validation_loss < 0.2 * TRAINED.header().persistence_loss);
}

#[test]
fn the_same_seed_trains_the_same_network_bit_for_bit_by_one_thread_or_two() {
    let series: Vec<Vec<f64>> = (0..3).map(|seed| daily(seed, 200)).collect();
    let options = TrainOptions {
        epochs: 2,
        ..options()
    };
    let alone = train(&series, &options, &InTurn).unwrap().to_bytes();
    assert_eq!(train(&series, &options, &InTurn).unwrap().to_bytes(), alone);
    assert_eq!(train(&series, &options, &TwoThreads).unwrap().to_bytes(), alone);
    let other = TrainOptions { seed: 2, ..options };
    assert_ne!(train(&series, &other, &InTurn).unwrap().to_bytes(), alone);
}

#[test]
fn progress_is_told_after_each_batch_and_at_the_end_of_each_round() {
    let series = daily(1, 400);
    let options = TrainOptions {
        epochs: 2,
        windows_per_epoch: 128,
        ..options()
    };
    let mut told = Vec::new();
    Lstm::train(&[series.as_slice().into()], &options, &InTurn, |p| {
        told.push((p.epoch, p.batch, p.validation_loss.is_some()));
    })
    .unwrap();
    let round = |epoch| [(epoch, 1, false), (epoch, 2, false), (epoch, 2, true)];
    assert_eq!(told, [round(0), round(1)].concat());
}

#[test]
fn what_cannot_be_trained_on_is_refused_by_what_is_wrong() {
    let good = daily(1, 400);
    let with = |change: fn(&mut TrainOptions)| {
        let mut options = options();
        change(&mut options);
        options
    };
    for (series, options, part) in [
        (vec![], options(), "no series is long enough"),
        (vec![vec![1.0; 20]], options(), "the longest has 20"),
        (vec![vec![7.0; 400]], options(), "nothing varies"),
        (vec![vec![f64::NAN; 400]], options(), "no series is long enough"),
        (
            vec![good.clone()],
            with(|o| o.window = 1),
            "window is 1; it must be 2 to 2048",
        ),
        (vec![good.clone()], with(|o| o.horizon = 0), "horizon is 0"),
        (vec![good.clone()], with(|o| o.hidden = 10_000), "hidden is 10000"),
        (
            vec![good.clone()],
            with(|o| o.periods = vec![24, 24]),
            "periods must rise",
        ),
        (
            vec![good.clone()],
            with(|o| o.learning_rate = f64::NAN),
            "learning_rate is NaN",
        ),
        (vec![good], with(|o| o.signals = 1), "has 0 signals"),
    ] {
        let error = train(&series, &options, &InTurn).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn gaps_infinities_and_any_scale_are_trained_on_without_harm() {
    for unit in [1e-290, 1.0, 1e99] {
        let mut series: Vec<f64> = daily(5, 400).into_iter().map(|y| y * unit / 100.0).collect();
        for t in (0..400).step_by(17) {
            series[t] = [f64::NAN, f64::INFINITY, 1e200][t % 3];
        }
        series[100..130].fill(f64::NAN);
        let lstm = train(&[series], &options(), &InTurn).unwrap();
        assert!(
            lstm.header().validation_loss < 0.7 * lstm.header().persistence_loss,
            "{unit}"
        );
    }
}

#[test]
fn a_signal_that_announces_the_series_is_used() {
    let mut source = Source::new(3);
    let signal = source.noise(900);
    let series: Vec<f64> = (0..900)
        .map(|t: usize| 5.0 * signal[t.saturating_sub(3)] + source.normal())
        .collect();
    let options = TrainOptions {
        periods: vec![],
        signals: 1,
        epochs: 40,
        ..options()
    };
    let all = TrainSeries {
        values: &series,
        signals: &[&signal],
        first_step: None,
    };
    let lstm = Lstm::train(&[all], &options, &InTurn, |_| {}).unwrap();
    let mut model = lstm.forecaster(&[2]);
    let (mut error, mut persistence) = (0.0, 0.0);
    for t in 0..890 {
        model.update_with(Some(series[t]), &[None, None, Some(signal[t])]);
        let mut path = [0.0; 3];
        model.forecast(&mut path);
        if t > 780 {
            error += (path[2] - series[t + 3]).abs();
            persistence += (series[t] - series[t + 3]).abs();
        }
    }
    assert!(error < 0.4 * persistence, "{error} of {persistence}");
    assert!(
        lstm.fit(&series)
            .unwrap_err_text()
            .contains("trained with 1 signals")
    );
}

/// The error of a fit that must fail.
trait Refused {
    fn unwrap_err_text(self) -> String;
}

impl Refused for Result<Box<dyn foreshift_forecast::Fitted>, foreshift_forecast::FitError> {
    fn unwrap_err_text(self) -> String {
        self.map(|_| ()).unwrap_err().to_string()
    }
}

#[test]
fn an_online_model_tells_what_the_fitted_one_does_after_any_updates() {
    let series = daily(42, 500);
    let mut online = TRAINED.forecaster(&[]);
    assert!(!online.is_ready());
    series.iter().for_each(|&y| online.update(Some(y)));
    assert!(online.is_ready());
    let mut path = [0.0; HORIZON];
    online.forecast(&mut path);
    let mut fitted = TRAINED.fit(&series[..300]).unwrap();
    assert!(series[300..].iter().all(|&y| fitted.update(Some(y))));
    assert_eq!(fitted.predict(HORIZON, &[]).point(), path);
    online.reset();
    assert!(!online.is_ready());
}

#[test]
fn a_file_that_says_something_else_is_refused_by_what_is_wrong() {
    let bytes = TRAINED.to_bytes();
    let text = |from: &str, to: &str| {
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .expect("the header holds it");
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        changed
    };
    let mut nan = bytes.clone();
    let last = nan.len() - 4;
    nan[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    for (bytes, part) in [
        (vec![], "no safetensors file"),
        (b"GIF89a not a network".to_vec(), "no safetensors file"),
        (bytes[..bytes.len() - 1].to_vec(), "no safetensors file"),
        (text("foreshift_lstm", "foreshift_lstx"), "no \"foreshift_lstm\""),
        (text(r#"version\":1"#, r#"version\":7"#), "version 7"),
        (
            text(r#"hidden\":12"#, r#"hidden\":99"#),
            "tensor gates.weight: expected",
        ),
        (
            text(r#"window\":12"#, r#"window\":00"#),
            "foreshift forecast train",
        ),
        (text("head.offset", "head.ofsett"), "tensor head.offset"),
        (nan, "is not a finite number"),
    ] {
        let error = Lstm::from_bytes(&bytes).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(matches!(Lstm::from_bytes(b"x"), Err(LoadError::Format { .. })));
}

fn is_sound(ahead: &Prediction, horizon: usize) -> bool {
    let paths = ahead.quantiles().iter().map(|(_, path)| path.as_slice());
    ahead.point().len() == horizon
        && std::iter::once(ahead.point())
            .chain(paths)
            .all(|path| path.iter().all(|y| y.is_finite()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_that_were_damaged_are_refused_or_read_and_never_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let mut bytes = TRAINED.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(lstm) = Lstm::from_bytes(&bytes) {
            prop_assert!(is_sound(&lstm.fit(&daily(1, 100)).unwrap().predict(3, &[0.9]), 3));
        }
    }

    #[test]
    fn bytes_of_chance_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Lstm::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_series_is_told_finitely_and_quantiles_do_not_cross(
        values in prop::collection::vec(prop_oneof![
            -1e100..1e100_f64, -1e-290..1e-290_f64, 0.0..100.0_f64, Just(0.0), Just(5.0),
        ], 12..80),
        horizon in 1_usize..40,
    ) {
        let mut fitted = TRAINED.fit(&values).unwrap();
        for y in [None, Some(f64::NAN), Some(1e300), Some(3.0)] {
            fitted.update(y);
        }
        let ahead = fitted.predict(horizon, &[0.001, 0.1, 0.5, 0.9, 0.999]);
        prop_assert!(is_sound(&ahead, horizon));
    }

    #[test]
    fn a_series_in_another_unit_is_told_in_that_unit(unit in 1e-3..1e3_f64, level in -1e3..1e3_f64) {
        let series = daily(7, 200);
        let moved: Vec<f64> = series.iter().map(|y| level + unit * y).collect();
        let plain = TRAINED.fit(&series).unwrap().predict(10, &[0.9]);
        let moved = TRAINED.fit(&moved).unwrap().predict(10, &[0.9]);
        for (a, b) in plain.point().iter().zip(moved.point()) {
            prop_assert!((level + unit * a - b).abs() < 1e-3 * unit * 30.0, "{} {}", level + unit * a, b);
        }
    }
}
