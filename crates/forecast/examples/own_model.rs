//! Back-tests a model of one's own, an ONNX file or a network of `foreshift forecast train`, alone and beside all others.
//!
//! `cargo run -p foreshift-forecast --example own_model -- MODEL VALUES HORIZON LEARN`: VALUES is a text file with one
//! value a line (anything that is no number is missing), of which the first LEARN are not scored. A model is judged fairly
//! only by what it was not trained on.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::{env, error::Error, fs, time::Duration};

use foreshift_forecast::{
    Forecaster, Prediction,
    backtest::{self, Options, Report, Stepwise},
    learned::{Lstm, Onnx, OnnxOptions},
    selector::{Selector, SelectorOptions},
    series::Series,
};

const USAGE: &str = "give MODEL (.onnx or .safetensors), VALUES, HORIZON and LEARN";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [model, values, horizon, learn] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let (horizon, learn) = (horizon.parse()?, learn.parse()?);
    let text = fs::read_to_string(values)?;
    let values = text
        .lines()
        .map(|line| line.trim().parse().ok().filter(|y: &f64| y.is_finite()));
    let values = values.map(|y| y.unwrap_or(f64::NAN)).collect();
    // What a step is plays no part here.
    let series = Series::new(0, Duration::from_secs(1), values)?;
    let bytes = fs::read(model)?;
    let own = || read(model, &bytes, horizon);
    let options = Options {
        warm_up: Some(learn),
        quantiles: vec![0.05, 0.5, 0.95],
        ..Options::new(horizon)
    };

    let mut alone = Alone {
        model: own()?,
        horizon,
    };
    let mut without = selector(&options)?;
    let mut with = selector(&options)?;
    with.add_model(own()?);
    let points = Options {
        quantiles: vec![0.5],
        ..options.clone()
    };
    show(
        "the model alone",
        &backtest::run(&series, &mut alone, &points, |_| ())?,
    );
    show(
        "auto without it",
        &backtest::run(&series, &mut without, &options, |_| ())?,
    );
    show(
        "auto with it",
        &backtest::run(&series, &mut with, &options, |_| ())?,
    );
    println!("{}", with.choice().reason);
    Ok(())
}

/// Reads and checks a model, of which there may be any number over the same bytes.
fn read(path: &str, bytes: &[u8], horizon: usize) -> Result<Box<dyn Forecaster>, Box<dyn Error>> {
    if path.ends_with(".safetensors") {
        return Ok(Box::new(Lstm::from_bytes(bytes)?.forecaster(&[])));
    }
    let options = OnnxOptions {
        horizon,
        ..OnnxOptions::default()
    };
    Ok(Box::new(Onnx::from_bytes(bytes, options)?.forecaster()))
}

fn selector(options: &Options) -> Result<Selector, foreshift_forecast::selector::Error> {
    Selector::new(SelectorOptions {
        horizon: options.horizon,
        quantiles: options.quantiles.clone(),
        ..SelectorOptions::default()
    })
}

/// Errors at the first, middle and last step as shares of persistence's, and what the band of 90 % covered.
fn show(name: &str, report: &Report) {
    let share = |h: usize| report.forecast.by_horizon[h].mae / report.persistence.by_horizon[h].mae;
    let last = report.horizon - 1;
    let covered = report.forecast.overall.band_coverage;
    let band = covered.map_or(String::new(), |share| {
        format!("; in the 90 % band {:.1} %", 100.0 * share)
    });
    println!(
        "{name:<16} error by that of persistence: {:.3} {:.3} {:.3} at steps 1, {}, {}{band}",
        share(0),
        share(last / 2),
        share(last),
        last / 2 + 1,
        last + 1,
    );
}

/// One model without anybody to correct it, and without a band.
struct Alone {
    model: Box<dyn Forecaster>,
    horizon: usize,
}

impl Stepwise for Alone {
    fn observe(&mut self, y: Option<f64>) {
        self.model.update(y);
    }

    fn predict(&mut self) -> Option<Prediction> {
        let mut path = vec![0.0; self.horizon];
        self.model.forecast(&mut path);
        let is_sound = self.model.is_ready() && path.iter().all(|y| y.is_finite());
        let median = path.clone();
        Prediction::new(path, vec![(0.5, median)])
            .ok()
            .filter(|_| is_sound)
    }

    fn model(&self) -> &str {
        self.model.name()
    }
}
