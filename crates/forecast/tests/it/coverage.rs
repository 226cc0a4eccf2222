//! Quantile paths hold what they promise, whatever makes the load, and the point is no worse than persistence.

use crate::common::{Source, Surge, run};

const HORIZON: usize = 20;
const STEPS: usize = 1_600;
/// Steps at the start that are not counted: the node has just joined.
const YOUNG: usize = 100;

struct Tally {
    counted: usize,
    hits: [[usize; HORIZON]; 3],
    error: f64,
    error_of_persistence: f64,
}

fn tally(draw: impl Fn(&mut Source) -> Vec<f64>) -> Tally {
    let mut tally = Tally {
        counted: 0,
        hits: [[0; HORIZON]; 3],
        error: 0.0,
        error_of_persistence: 0.0,
    };
    for seed in 0..4 {
        let series = draw(&mut Source::new(1_000 + seed));
        run(&series, |t, _, forecast| {
            if t < YOUNG || t + HORIZON >= series.len() {
                return;
            }
            let forecast = forecast.expect("much was seen");
            tally.counted += 1;
            for ((_, path), hits) in forecast.quantiles().iter().zip(&mut tally.hits) {
                for (h, hits) in hits.iter_mut().enumerate() {
                    *hits += usize::from(series[t + 1 + h] <= path[h]);
                }
            }
            let end = series[t + HORIZON];
            tally.error += (end - forecast.point()[HORIZON - 1]).abs();
            tally.error_of_persistence += (end - series[t]).abs();
        });
    }
    tally
}

#[test]
fn each_quantile_covers_its_share_at_every_step_of_the_horizon() {
    let surge = Surge {
        period: 60,
        width: 10,
        first: 20,
        base: 30.0,
        height: 60.0,
        noise: 3.0,
    };
    type Draw = Box<dyn Fn(&mut Source) -> Vec<f64>>;
    // Name, series, and how much of the error of persistence may be left at the end of the horizon.
    let processes: [(&str, Draw, f64); 7] = [
        ("noise", Box::new(|s| s.noise(STEPS)), 0.75),
        ("AR(0.8)", Box::new(|s| s.autoregression(STEPS, 0.8)), 0.80),
        ("random walk", Box::new(|s| s.random_walk(STEPS)), 1.05),
        ("ramp with noise", Box::new(|s| s.ramp(STEPS)), 0.75),
        ("bursts", Box::new(|s| s.bursts(STEPS)), 0.90),
        ("wave of 30 s", Box::new(|s| s.wave(STEPS, 60)), 0.20),
        (
            "surges each 30 s",
            Box::new(move |s| s.surges(STEPS, surge)),
            0.20,
        ),
    ];
    for (name, draw, error_share_max) in processes {
        let tally = tally(draw);
        for (promised, tolerance, hits) in
            [(0.5, 0.03, 0), (0.9, 0.035, 1), (0.99, 0.03, 2)].map(|(q, tol, i)| (q, tol, tally.hits[i]))
        {
            for (h, hits) in hits.into_iter().enumerate() {
                let covered = hits as f64 / tally.counted as f64;
                assert!(
                    (covered - promised).abs() <= tolerance,
                    "{name}: {covered} for {promised} at step {}",
                    h + 1
                );
            }
        }
        let share = tally.error / tally.error_of_persistence;
        assert!(
            share <= error_share_max,
            "{name}: error {share} of that of persistence"
        );
    }
}

#[test]
fn coverage_and_errors_are_told_as_they_are() {
    let series = Source::new(3).autoregression(1_000, 0.8);
    let mut predictions = Vec::new();
    let predictor = run(&series, |t, _, forecast| {
        if let Some(forecast) = forecast {
            predictions.push((
                t + HORIZON,
                forecast.point()[HORIZON - 1],
                forecast.quantiles()[1].1[HORIZON - 1],
            ));
        }
    });
    let scored = predictor.scored();
    assert_eq!(scored.len(), 80);
    for (scored, t) in scored.iter().rev().zip((0..series.len()).rev()) {
        let (_, point, q90) = predictions
            .iter()
            .find(|(due, ..)| *due == t)
            .expect("one horizon before");
        let close = |a: f64, b: f64| (a - b).abs() < 1e-4;
        assert!(
            close(scored.actual, series[t]) && close(scored.predicted, *point),
            "step {t}"
        );
        assert!(close(scored.predicted_q90, *q90), "step {t}");
    }
    let newest_ms = predictor.newest_ms().expect("ticks came");
    assert_eq!(scored.last().expect("80 of them").at_ms, newest_ms);
    let forecast = predictor.forecast().expect("much was seen");
    let (error, persistence) = (
        forecast.error().expect("scored"),
        forecast.error_of_persistence().expect("scored"),
    );
    assert!(error < persistence, "{error} {persistence}");
    assert!((forecast.coverage().expect("scored") - 0.9).abs() < 0.1);
}
