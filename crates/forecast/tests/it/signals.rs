//! A signal that runs ahead of the load score makes the forecast better than the score alone does.

use foreshift_forecast::{Multivariate, Predictor, PredictorOptions, SignalValues};

use crate::common::{STEP_MS, Source};

/// Steps that requests arrive before the CPU is as busy as they make it.
const LEAD: usize = 6;
const HORIZON: usize = 20;

/// Requests per second, which step up and down at random instants, and the CPU that follows them.
fn node(n: usize, seed: u64) -> Vec<SignalValues> {
    let mut source = Source::new(seed);
    let mut level = 300.0;
    let requests: Vec<f64> = (0..n)
        .map(|_| {
            if source.uniform() < 0.03 {
                level = 100.0 + 700.0 * source.uniform();
            }
            (level + 15.0 * source.normal()).max(0.0)
        })
        .collect();
    let mut busy = 0.3;
    (0..n)
        .map(|t| {
            busy += 0.4 * (requests[t.saturating_sub(LEAD)] / 1_000.0 - busy);
            SignalValues {
                cpu: Some((busy + 0.01 * source.normal()).clamp(0.0, 1.0)),
                memory: Some(0.4 + 0.001 * source.normal()),
                requests_per_s: Some(requests[t]),
                response_ms_p99: Some(20.0 / (1.05 - busy.min(1.0)) + source.normal()),
                connections: Some(requests[t] / 2.0 + 10.0 * source.normal()),
                ..SignalValues::default()
            }
        })
        .collect()
}

/// Mean absolute error at each distance in `distances`, from the 400th step on.
fn errors(mut predictor: Predictor, signals: &[SignalValues], distances: [usize; 3]) -> [f64; 3] {
    let score = |t: usize| signals[t].cpu.map(|cpu| 100.0 * cpu);
    let (mut sums, mut counted) = ([0.0; 3], 0.0);
    for (t, values) in signals.iter().enumerate().take(signals.len() - HORIZON) {
        predictor.observe_with(t as u64 * STEP_MS, score(t), values);
        let Some(forecast) = predictor.forecast().filter(|_| t >= 400) else {
            continue;
        };
        counted += 1.0;
        for (sum, &h) in sums.iter_mut().zip(&distances) {
            *sum += (forecast.point()[h - 1] - score(t + h).unwrap_or(0.0)).abs();
        }
    }
    sums.map(|sum| sum / counted)
}

fn predictor() -> Predictor {
    Predictor::new(PredictorOptions::default()).expect("the default options are valid")
}

#[test]
fn requests_that_rise_before_the_cpu_make_the_forecast_better_than_the_cpu_alone_does() {
    for seed in 0..4 {
        let signals = node(2_400, seed);
        let alone = errors(predictor(), &signals, [1, 5, 10]);
        let mut informed = predictor();
        informed.add_model(Box::new(Multivariate::of_node_signals(HORIZON)));
        let informed = errors(informed, &signals, [1, 5, 10]);
        let shares: Vec<f64> = informed.iter().zip(&alone).map(|(a, b)| a / b).collect();
        assert!(
            shares[0] < 1.05 && shares[1] < 0.65 && shares[2] < 0.8,
            "{shares:?}"
        );
    }
}

#[test]
fn signals_that_tell_nothing_cost_next_to_nothing() {
    for seed in 10..14 {
        let mut source = Source::new(seed);
        let mut noise = || 50.0 + 10.0 * source.normal();
        let signals: Vec<SignalValues> = Source::new(seed + 100)
            .autoregression(2_400, 0.9)
            .into_iter()
            .map(|y| SignalValues {
                cpu: Some(y / 100.0),
                requests_per_s: Some(noise()),
                connections: Some(noise()),
                ..SignalValues::default()
            })
            .collect();
        let alone = errors(predictor(), &signals, [1, 5, 20]);
        let mut informed = predictor();
        informed.add_model(Box::new(Multivariate::of_node_signals(HORIZON)));
        let informed = errors(informed, &signals, [1, 5, 20]);
        for (a, b) in informed.iter().zip(&alone) {
            assert!(*a < 1.04 * b, "{informed:?} for {alone:?}");
        }
    }
}
