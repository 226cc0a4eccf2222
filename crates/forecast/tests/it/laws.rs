//! Whatever comes in, what goes out is finite, ordered and in bounds.

use foreshift_forecast::{
    Autoregression, Forecaster, Holt, LastValue, Predictor, PredictorOptions, Seasonal,
};
use proptest::prelude::*;

fn models() -> Vec<Box<dyn Forecaster>> {
    let mut seasonal = Seasonal::new();
    seasonal.set_period(Some(7));
    vec![
        Box::new(LastValue::default()),
        Box::new(Holt::slow()),
        Box::new(Holt::medium()),
        Box::new(Holt::fast()),
        Box::new(Autoregression::of_order_4()),
        Box::new(Autoregression::of_order_8()),
        Box::new(Seasonal::new()),
        Box::new(seasonal),
    ]
}

/// Any number that a broken agent could send, and plain ones.
fn any_score() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        6 => (0.0..150.0_f64).prop_map(Some),
        1 => Just(None),
        1 => any::<f64>().prop_map(Some),
        1 => prop::sample::select(vec![0.0, -0.0, f64::MIN_POSITIVE, 1e-300, 1e9, -5.0]).prop_map(Some),
    ]
}

/// Distances of ticks in milliseconds: mostly regular, sometimes late, doubled, far or back.
fn any_distance() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => Just(500_i64),
        2 => 300..700_i64,
        1 => 0..5_000_i64,
        1 => -100_000..200_000_i64,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finite_observations_of_any_size_give_finite_paths(
        scale in -100..100_i32,
        series in prop::collection::vec(prop_oneof![9 => (-1.0..1.0_f64).prop_map(Some), 1 => Just(None)], 1..300),
    ) {
        for mut model in models() {
            let mut path = [f64::NAN; 40];
            for y in &series {
                model.update(y.map(|y| y * 10_f64.powi(scale)));
                model.forecast(&mut path);
                prop_assert!(path.iter().all(|y| y.is_finite()), "{}: {path:?}", model.name());
            }
        }
    }

    #[test]
    fn sizes_that_change_by_hundreds_of_orders_give_finite_paths(
        series in prop::collection::vec(any::<f64>(), 1..200),
    ) {
        for mut model in models() {
            let mut path = [f64::NAN; 40];
            for &y in &series {
                model.update(Some(y));
                model.forecast(&mut path);
                prop_assert!(path.iter().all(|y| y.is_finite()), "{}: {y}, {path:?}", model.name());
            }
        }
    }

    #[test]
    fn forecasts_are_finite_ordered_and_not_negative_for_any_ticks(
        ticks in prop::collection::vec((any_distance(), any_score()), 1..400),
    ) {
        let mut predictor = Predictor::new(PredictorOptions::default()).expect("valid");
        let mut now_ms: i64 = 1_700_000_000_000;
        for (distance_ms, score) in ticks {
            now_ms += distance_ms;
            predictor.observe(now_ms as u64, score);
            let Some(forecast) = predictor.forecast() else { continue };
            prop_assert_eq!(forecast.point().len(), 20);
            prop_assert!(forecast.point().iter().all(|y| y.is_finite() && *y >= 0.0));
            for pair in forecast.quantiles().windows(2) {
                prop_assert!(pair[0].1.iter().zip(&pair[1].1).all(|(low, high)| *low >= 0.0 && low <= high));
            }
            let (score, peak) = (forecast.predicted_score(0.9), forecast.peak(0.9));
            prop_assert!(score >= peak.map(|peak| peak.score));
        }
        prop_assert!(predictor.history().len() <= 384 && predictor.scored().len() <= 80);
    }

    #[test]
    fn ticks_at_the_ends_of_time_are_survived(
        ticks in prop::collection::vec((any::<u64>(), any_score()), 1..50),
    ) {
        let mut predictor = Predictor::new(PredictorOptions::default()).expect("valid");
        for (now_ms, score) in ticks {
            predictor.observe(now_ms, score);
            predictor.forecast();
            predictor.scored();
        }
        predictor.observe(u64::MAX, Some(1.0));
        predictor.observe(u64::MAX - 1, Some(1.0));
        predictor.observe(0, Some(1.0));
    }
}

#[test]
fn a_horizon_of_one_step_to_ten_minutes_is_forecast() {
    for steps in [1, 2, 3, 7, 60, 1_200] {
        let horizon = std::time::Duration::from_millis(500 * steps);
        let options = PredictorOptions {
            horizon,
            ..PredictorOptions::default()
        };
        let mut predictor = Predictor::new(options).expect("valid");
        let load = |t: u64| 40.0 + (t * 7_919 % 13) as f64;
        (0..1_600).for_each(|t| predictor.observe(t * 500, Some(load(t))));
        let forecast = predictor.forecast().expect("much was seen");
        assert_eq!(forecast.point().len(), steps as usize);
        assert!(
            forecast.point().iter().all(|y| (35.0..60.0).contains(y)),
            "{steps} steps"
        );
        assert!(
            forecast.error() < forecast.error_of_persistence().map(|error| 1.2 * error),
            "{steps} steps"
        );
    }
}
