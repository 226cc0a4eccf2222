//! What each node costs in each tick of the control loop: one observation, one forecast of 20 steps with three
//! quantiles. Allocations are counted; an update in steady state makes none.

use divan::{AllocProfiler, Bencher, black_box};
use foreshift_forecast::{
    Autoregression, Forecaster, Holt, LastValue, Multivariate, Predictor, PredictorOptions, Seasonal,
    SignalValues,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const STEP_MS: u64 = 500;

/// Load with surges every 30 s and some noise; the same for all nodes, which is the worst case for periodic work.
fn load(t: u64) -> f64 {
    let noise = (t.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1 << 24) as f64;
    let surge = if t % 60 < 10 { 50.0 } else { 0.0 };
    30.0 + surge + 8.0 * noise
}

fn node(stagger: u64) -> Predictor {
    let options = PredictorOptions {
        stagger,
        ..PredictorOptions::default()
    };
    let mut predictor = Predictor::new(options).expect("the default options are valid");
    (0..600).for_each(|t| predictor.observe(t * STEP_MS, Some(load(t))));
    predictor
}

#[divan::bench]
fn new_predictor(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Predictor::new(PredictorOptions::default()));
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn observe(bencher: Bencher<'_, '_>) {
    let (mut predictor, mut t) = (node(0), 600);
    bencher.bench_local(|| {
        predictor.observe(t * STEP_MS, Some(load(t)));
        t += 1;
    });
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn observe_and_forecast(bencher: Bencher<'_, '_>) {
    let (mut predictor, mut t) = (node(0), 600);
    bencher.bench_local(|| {
        predictor.observe(t * STEP_MS, Some(load(t)));
        t += 1;
        predictor.forecast()
    });
}

/// One tick of a whole pool; the budget of everything in the tick is 10 ms for 1,000 nodes, of the forecasts alone 50 ms
/// for 10,000.
#[divan::bench(args = [1_000, 10_000], sample_count = 100, sample_size = 1)]
fn tick_of_nodes(bencher: Bencher<'_, '_>, nodes: u64) {
    let mut nodes: Vec<Predictor> = (0..nodes).map(node).collect();
    let mut t = 600;
    bencher.bench_local(|| {
        for node in &mut nodes {
            node.observe(t * STEP_MS, Some(load(t)));
            black_box(node.forecast());
        }
        t += 1;
    });
}

/// The same with what control adds to each node: the model of the node's signals, and signals.
#[divan::bench(args = [1_000, 10_000], sample_count = 100, sample_size = 1)]
fn tick_of_nodes_with_signals(bencher: Bencher<'_, '_>, nodes: u64) {
    let signals = |t: u64| SignalValues {
        cpu: Some(load(t) / 100.0),
        requests_per_s: Some(40.0 * load(t + 3)),
        response_ms_p99: Some(20.0 + load(t)),
        connections: Some(200.0 + load(t / 8)),
        ..SignalValues::default()
    };
    let with_signals = |stagger| {
        let mut predictor = node(stagger);
        predictor.add_model(Box::new(Multivariate::of_node_signals(20)));
        (600..900).for_each(|t| predictor.observe_with(t * STEP_MS, Some(load(t)), &signals(t)));
        predictor
    };
    let mut nodes: Vec<Predictor> = (0..nodes).map(with_signals).collect();
    let mut t = 900;
    bencher.bench_local(|| {
        for node in &mut nodes {
            node.observe_with(t * STEP_MS, Some(load(t)), &signals(t));
            black_box(node.forecast());
        }
        t += 1;
    });
}

/// The first 100 s of a pool whose nodes all find the same season, in as few ticks as the stagger lets them.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn first_200_ticks_of_1000_nodes(bencher: Bencher<'_, '_>) {
    let fresh = |stagger| {
        let options = PredictorOptions {
            stagger,
            ..PredictorOptions::default()
        };
        Predictor::new(options).expect("the default options are valid")
    };
    bencher
        .with_inputs(|| (0..1000).map(fresh).collect::<Vec<_>>())
        .bench_local_values(|mut nodes| {
            for t in 0..200 {
                nodes
                    .iter_mut()
                    .for_each(|node| node.observe(t * STEP_MS, Some(load(t))));
            }
            nodes
        });
}

const MODELS: &[&str] = &["last_value", "holt", "ar4", "ar8", "seasonal"];

#[divan::bench(args = MODELS, sample_count = 200, sample_size = 1000)]
fn update_model(bencher: Bencher<'_, '_>, name: &str) {
    let (mut model, mut t) = (trained(name), 600);
    bencher.bench_local(|| {
        model.update(Some(load(t)));
        t += 1;
    });
}

#[divan::bench(args = MODELS, sample_count = 200, sample_size = 1000)]
fn forecast_model(bencher: Bencher<'_, '_>, name: &str) {
    let (model, mut path) = (trained(name), [0.0; 20]);
    bencher.bench_local(|| {
        model.forecast(black_box(&mut path));
        path[19]
    });
}

fn trained(name: &str) -> Box<dyn Forecaster> {
    let mut model: Box<dyn Forecaster> = match name {
        "last_value" => Box::new(LastValue::default()),
        "holt" => Box::new(Holt::medium()),
        "ar4" => Box::new(Autoregression::of_order_4()),
        "ar8" => Box::new(Autoregression::of_order_8()),
        _ => Box::new(Seasonal::new()),
    };
    model.set_period(Some(60));
    (0..600).for_each(|t| model.update(Some(load(t))));
    model
}
