//! The load changes for good, a model is wrong, a peak passes: what the predictor then does.

use crate::common::{STEP_MS, Source, run};
use foreshift_forecast::{Forecaster, Predictor, PredictorOptions};

#[test]
fn a_lasting_change_of_level_is_forecast_within_the_horizon_and_off_the_bands_after_twenty_five_seconds() {
    for (before, after) in [(20.0, 70.0), (70.0, 20.0)] {
        let mut source = Source::new(17);
        let level = |t: usize| if t < 400 { before } else { after };
        let series: Vec<f64> = (0..600).map(|t| level(t) + source.normal()).collect();
        run(&series, |t, _, forecast| {
            let Some(forecast) = forecast.filter(|_| t >= 426) else {
                return;
            };
            let (point, q90) = (
                forecast.point()[19],
                forecast.quantile(0.9).expect("always there")[19],
            );
            assert!(
                (point - after).abs() < 0.1 * (after - before).abs(),
                "{point} at step {t}"
            );
            if t >= 440 {
                assert!((point - after).abs() < 4.0, "{point} at step {t}");
            }
            if t >= 450 {
                assert!(q90 < after + 10.0, "{q90} at step {t}");
            }
        });
    }
}

#[test]
fn the_predicted_score_rises_at_once_and_falls_by_half_of_the_distance_each_five_seconds() {
    let series: Vec<f64> = (0..260)
        .map(|t| if (200..204).contains(&t) { 90.0 } else { 30.0 })
        .collect();
    let mut scores = Vec::new();
    run(&series, |_, _, forecast| {
        scores.push(forecast.map(|f| (f.predicted_score(0.5).unwrap(), f.peak(0.5).unwrap().score)));
    });
    let at = |t: usize| scores[t].expect("much was seen");
    assert!(at(200).0 > 70.0, "at once: {:?}", at(200));
    for t in 204..250 {
        let ((score, peak), (next, next_peak)) = (at(t), at(t + 1));
        assert!(score >= peak, "never under the path: {score} {peak}");
        let falls_to = next_peak + (score - next_peak).max(0.0) * 0.5_f64.powf(0.1);
        assert!(
            (next - falls_to.max(next_peak)).abs() < 1e-6,
            "step {t}: {next} for {falls_to}"
        );
    }
    assert!(
        at(214).0 > 50.0 && at(255).0 < 36.0,
        "{:?} {:?}",
        at(214),
        at(255)
    );
}

#[test]
fn the_gate_closes_where_persistence_is_better_and_opens_again() {
    let options = PredictorOptions {
        model: "holt".into(),
        ..PredictorOptions::default()
    };
    let mut predictor = Predictor::new(options).expect("valid");
    // Repeats after half of the horizon: the load now is exactly the load at its end.
    let zigzag = |t: u64| 40.0 + 4.0 * (5.0 - (t % 10) as f64).abs();
    (0..200).for_each(|t| predictor.observe(t * STEP_MS, Some(zigzag(t))));
    assert!(predictor.gated());
    let forecast = predictor.forecast().expect("a gated forecast is still shown");
    assert!(forecast.error() > forecast.error_of_persistence());
    let mut source = Source::new(2);
    (200..600).for_each(|t| predictor.observe(t * STEP_MS, Some(50.0 + 5.0 * source.normal())));
    assert!(!predictor.gated());
}

/// Claims whatever it was made with.
struct Claim(f64);

impl Forecaster for Claim {
    fn name(&self) -> &str {
        "claim"
    }
    fn update(&mut self, _: Option<f64>) {}
    fn forecast(&self, path: &mut [f64]) {
        path.fill(self.0);
    }
    fn reset(&mut self) {}
}

#[test]
fn a_model_from_outside_gets_the_weight_that_it_earns() {
    for (claim, leads) in [
        (50.0, true),
        (5_000.0, false),
        (f64::NAN, false),
        (f64::INFINITY, false),
    ] {
        let options = PredictorOptions {
            model: "last_value".into(),
            ..PredictorOptions::default()
        };
        let mut predictor = Predictor::new(options).expect("valid");
        predictor.add_model(Box::new(Claim(claim)));
        let mut source = Source::new(23);
        (0..300).for_each(|t| predictor.observe(t * STEP_MS, Some(50.0 + 8.0 * source.normal())));
        let forecast = predictor.forecast().expect("much was seen");
        assert_eq!(
            forecast.model() == "claim",
            leads,
            "{claim}: {}",
            forecast.model()
        );
        assert!(
            (forecast.point()[19] - 50.0).abs() < 25.0,
            "{claim}: {:?}",
            forecast.point()
        );
    }
}
