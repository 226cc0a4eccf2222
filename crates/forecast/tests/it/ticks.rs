//! Ticks that are missing, late, doubled or from a clock that jumps have a defined meaning.

use std::time::Duration;

use crate::common::{STEP_MS, Source, predictor};
use foreshift_forecast::{Error, Predictor, PredictorOptions};

const START_MS: u64 = 1_700_000_000_000;

fn fed(ticks: impl IntoIterator<Item = (u64, Option<f64>)>) -> Predictor {
    let mut predictor = predictor();
    ticks
        .into_iter()
        .for_each(|(now_ms, score)| predictor.observe(now_ms, score));
    predictor
}

fn at(step: u64) -> u64 {
    START_MS + step * STEP_MS
}

#[test]
fn a_node_that_has_just_joined_has_no_forecast_then_persistence_with_wide_bands() {
    let mut predictor = predictor();
    assert!(predictor.forecast().is_none());
    for step in 0..10 {
        predictor.observe(at(step), Some(40.0));
        assert_eq!(predictor.forecast().is_some(), step >= 3, "step {step}");
    }
    let forecast = predictor.forecast().expect("ten were seen");
    assert_eq!(forecast.model(), "last_value");
    assert_eq!(forecast.start_ms(), at(10));
    assert!(
        forecast.point().iter().all(|y| (y - 40.0).abs() < 1e-3),
        "{:?}",
        forecast.point()
    );
    assert!(
        forecast
            .quantile(0.9)
            .expect("always there")
            .iter()
            .all(|&y| y > 44.0)
    );
    assert_eq!((forecast.error(), forecast.coverage()), (None, None));
}

#[test]
fn a_constant_load_is_forecast_as_it_is_and_its_band_closes() {
    for level in [0.0, 37.5, 250.0] {
        let predictor = fed((0..400).map(|step| (at(step), Some(level))));
        let forecast = predictor.forecast().expect("much was seen");
        for (_, path) in forecast.quantiles() {
            assert!(path.iter().all(|y| (y - level).abs() < 0.01), "{level}: {path:?}");
        }
        assert!(!predictor.gated());
        assert_eq!(forecast.period_steps(), None);
    }
}

#[test]
fn missing_ticks_and_missing_scores_are_the_same() {
    let series = Source::new(5).autoregression(400, 0.8);
    let is_lost = |step: u64| step % 7 == 3;
    let score = |step: u64| Some(series[step as usize]);
    let silent = fed((0..400).filter(|&s| !is_lost(s)).map(|s| (at(s), score(s))));
    let unmeasured = fed((0..400).map(|s| (at(s), score(s).filter(|_| !is_lost(s)))));
    let not_a_number = fed((0..400).map(|s| (at(s), if is_lost(s) { Some(f64::NAN) } else { score(s) })));
    assert_eq!(silent.forecast(), unmeasured.forecast());
    assert_eq!(silent.forecast(), not_a_number.forecast());
    let lost = silent.history().iter().filter(|y| y.is_none()).count();
    assert!((50..60).contains(&lost), "{lost}");
}

#[test]
fn silence_longer_than_the_horizon_ends_the_forecast_until_something_is_seen() {
    let mut predictor = fed((0..200).map(|step| (at(step), Some(50.0))));
    for step in 200..240 {
        predictor.observe(at(step), None);
        assert_eq!(predictor.forecast().is_some(), step < 220, "step {step}");
    }
    predictor.observe(at(240), Some(50.0));
    assert!(predictor.forecast().is_some());
}

#[test]
fn after_a_minute_of_silence_the_series_begins_anew() {
    let silent = fed((0..200).chain(400..402).map(|step| (at(step), Some(50.0))));
    assert!(silent.forecast().is_none());
    assert_eq!(silent.history().len(), 2);
    let unmeasured = fed((0..402).map(|step| (at(step), Some(50.0).filter(|_| !(200..400).contains(&step)))));
    assert!(unmeasured.forecast().is_none());
}

#[test]
fn ticks_told_twice_or_a_little_out_of_order_are_dropped() {
    let mut predictor = fed((0..100).map(|step| (at(step), Some(50.0))));
    let before = predictor.forecast();
    predictor.observe(at(99), Some(900.0));
    predictor.observe(at(99) + 100, Some(900.0));
    predictor.observe(at(98), Some(900.0));
    assert_eq!(predictor.forecast(), before);
}

#[test]
fn late_ticks_do_not_shift_the_series() {
    let series = Source::new(9).autoregression(400, 0.8);
    let late_ms = |step: u64| (step * 7_919) % 220;
    let late = fed((0..400).map(|s| (at(s) + late_ms(s), Some(series[s as usize]))));
    let punctual = fed((0..400).map(|s| (at(s), Some(series[s as usize]))));
    assert_eq!(late.history(), punctual.history());
    assert_eq!(
        late.forecast().map(|f| f.point().to_vec()),
        punctual.forecast().map(|f| f.point().to_vec())
    );
}

#[test]
fn a_clock_that_goes_back_moves_the_instants_and_keeps_the_series() {
    let mut predictor = fed((0..200).map(|step| (at(step), Some(50.0))));
    let hour_ms = 3_600_000;
    for step in 200..210 {
        predictor.observe(at(step) - hour_ms, Some(50.0));
        let forecast = predictor.forecast().expect("the series goes on");
        assert_eq!(forecast.start_ms(), at(step + 1) - hour_ms);
        assert!((forecast.point()[19] - 50.0).abs() < 0.01);
    }
    assert_eq!(predictor.history().len(), 210);
}

#[test]
fn a_clock_that_jumps_forward_is_a_gap() {
    let mut predictor = fed((0..200).map(|step| (at(step), Some(50.0))));
    predictor.observe(at(210), Some(50.0));
    assert_eq!(predictor.history().len(), 211);
    assert!(predictor.forecast().is_some());
    predictor.observe(at(1_000_000), Some(50.0));
    assert_eq!((predictor.history().len(), predictor.forecast()), (1, None));
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let refusal = |options| Predictor::new(options).expect_err("refused").to_string();
    let default = PredictorOptions::default;
    for (options, text) in [
        (
            PredictorOptions {
                step: Duration::ZERO,
                ..default()
            },
            "step 0ns is outside 1 ms to 1 h",
        ),
        (
            PredictorOptions {
                horizon: Duration::from_secs(601),
                ..default()
            },
            "horizon 601s is 1202 steps of 500ms; it must be 1 to 1200",
        ),
        (
            PredictorOptions {
                quantiles: vec![1.5],
                ..default()
            },
            "quantile 1.5 is outside (0, 1)",
        ),
        (
            PredictorOptions {
                model: "prophet".into(),
                ..default()
            },
            r#"model "prophet" is not known; one of auto, last_value, holt, ar, seasonal"#,
        ),
    ] {
        assert_eq!(refusal(options), text);
    }
    assert!(matches!(
        Predictor::new(PredictorOptions {
            horizon: Duration::ZERO,
            ..default()
        }),
        Err(Error::Horizon { steps: 0, .. })
    ));
}
