//! No period is told of where there is none.

use crate::common::{Source, run};

fn steps_with_a_period(series: &[f64]) -> usize {
    let mut steps = 0;
    run(series, |_, _, forecast| {
        steps += usize::from(forecast.is_some_and(|f| f.period_steps().is_some()));
    });
    steps
}

#[test]
fn chance_and_trend_make_no_season() {
    type Draw = fn(&mut Source, usize) -> Vec<f64>;
    let processes: [(&str, Draw); 6] = [
        ("noise", |source, n| source.noise(n)),
        ("random walk", |source, n| source.random_walk(n)),
        ("AR(0.8)", |source, n| source.autoregression(n, 0.8)),
        ("AR(0.95)", |source, n| source.autoregression(n, 0.95)),
        ("ramp with noise", |source, n| source.ramp(n)),
        ("constant", |_, n| vec![42.0; n]),
    ];
    for (name, draw) in processes {
        for seed in 100..112 {
            let steps = steps_with_a_period(&draw(&mut Source::new(seed), 900));
            assert_eq!(steps, 0, "{name}, seed {seed}");
        }
    }
}

#[test]
fn smooth_shapes_without_repetition_make_no_season() {
    type Shape = fn(f64) -> f64;
    let shapes: [(&str, Shape); 4] = [
        ("ramp", |x| 90.0 * x),
        ("parabola", |x| 90.0 * x * x),
        ("one step", |x| if x < 0.5 { 20.0 } else { 80.0 }),
        ("one hump", |x| {
            20.0 + 60.0 * (-(x - 0.5) * (x - 0.5) * 200.0).exp()
        }),
    ];
    for (name, shape) in shapes {
        let series: Vec<f64> = (0..900).map(|t| shape(f64::from(t) / 900.0)).collect();
        assert_eq!(steps_with_a_period(&series), 0, "{name}");
    }
}

#[test]
fn two_like_bursts_are_no_season() {
    for distance in [40, 77, 120] {
        let burst = |t: usize| t.abs_diff(200) < 5 || t.abs_diff(200 + distance) < 5;
        let mut source = Source::new(distance as u64);
        let series: Vec<f64> = (0..700)
            .map(|t| if burst(t) { 80.0 } else { 25.0 } + source.normal())
            .collect();
        assert_eq!(steps_with_a_period(&series), 0, "{distance} steps apart");
    }
}
