//! The forecaster that a series read from elsewhere is given to: by the name of its model, or with a model from a file.
//!
//! A model from a file stands beside all that `auto` knows and is weighed by its errors like those; how it fared is
//! noted on the way, since the point of asking is often to learn that it is not chosen.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use foreshift_forecast::{
    Prediction,
    backtest::{QUANTILES, Stepwise},
    learned::{self, Model},
    selector::{self, Selector, SelectorOptions},
};
use serde::Serialize;

use crate::{
    history::duration::{Span, show, span},
    usage::usage,
};

/// How far ahead, and by which model.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ahead {
    /// How far ahead: steps, or a time such as 15min [default: 20 steps, or what a model from a file tells if fewer]
    #[arg(long, value_name = "STEPS|TIME", value_parser = span)]
    horizon: Option<Span>,
    /// The model; auto chooses by what happened, and weighs a model from an .onnx or .safetensors file beside its own
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    model: String,
    /// In which units an ONNX model reads and answers
    #[arg(long, value_enum, default_value_t = Scaling::Window)]
    scaling: Scaling,
}

/// In which units an ONNX model reads and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scaling {
    /// As distances from the window's mean, in its standard deviations
    Window,
    /// As it is measured
    None,
}

impl Ahead {
    /// Where the horizon that was taken is not the one asked for.
    pub(crate) fn note(&self, taken: usize, step: Duration) -> Option<String> {
        let steps = if taken == 1 { "step" } else { "steps" };
        let length = show(step.saturating_mul(u32::try_from(taken).unwrap_or(u32::MAX)));
        match self.horizon {
            None => Some(format!(
                "no --horizon was given: {taken} {steps} ahead were taken, {length}"
            )),
            Some(Span::Time(time)) if time.as_millis() % step.as_millis().max(1) != 0 => Some(format!(
                "the horizon of {} was rounded up to {taken} {steps}, {length}",
                show(time)
            )),
            Some(_) => None,
        }
    }
}

const HORIZON_STEPS: usize = 20;
/// Steps between two looks at how the models stand, which cost more than a step.
const LOOK_EVERY: u64 = 16;

/// Chooses among models, of which one may be from a file.
pub(crate) struct Chooser {
    selector: Selector,
    horizon: usize,
    steps: u64,
    brought: Option<Brought>,
}

/// How a model from a file fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Brought {
    pub(crate) file: String,
    /// `lstm` or `onnx`, as it is called among the models.
    pub(crate) model: String,
    /// Its share of the forecast at the end of the horizon, on average and at the end of the series.
    pub(crate) weight_mean: f64,
    pub(crate) weight_last: f64,
    /// Mean absolute error at the end of the horizon, over the looks at which both are known, and that of persistence.
    pub(crate) error: Option<f64>,
    pub(crate) error_of_persistence: Option<f64>,
    /// Why it was dropped on the way.
    pub(crate) fault: Option<String>,
    #[serde(skip)]
    looks: u64,
    #[serde(skip)]
    compared: u64,
}

/// A forecaster of a series with this step, with the back-test's quantiles. Seasons are looked for as the series goes on.
pub(crate) fn build(ahead: &Ahead, step: Duration) -> Result<Chooser> {
    let file = Model::is_named(&ahead.model).then_some(Path::new(&ahead.model));
    let model = file.map(|file| read(file, ahead.scaling)).transpose()?;
    let told = model.as_ref().map_or(HORIZON_STEPS, Model::horizon);
    let horizon = ahead
        .horizon
        .map_or(HORIZON_STEPS.min(told), |span| span.steps(step));
    let selector = Selector::new(SelectorOptions {
        horizon,
        quantiles: QUANTILES.to_vec(),
        model: file.map_or_else(|| ahead.model.clone(), |_| "auto".into()),
        ..SelectorOptions::default()
    });
    // All that is asked of it is from the command line.
    let mut chooser = Chooser {
        selector: selector.map_err(|error| usage(refusal(&error)))?,
        horizon,
        steps: 0,
        brought: None,
    };
    if let Some(model) = model {
        let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        let checked = model.check(step_ms, horizon);
        checked.map_err(|error| usage(format!("{}: {error}", ahead.model)))?;
        chooser.bring(&ahead.model, &model);
    }
    Ok(chooser)
}

fn refusal(error: &selector::Error) -> String {
    match error {
        selector::Error::Model { .. } => format!("{error}, or an .onnx or .safetensors file"),
        error => error.to_string(),
    }
}

fn read(file: &Path, scaling: Scaling) -> Result<Model> {
    let name = file.to_string_lossy();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let scaling = match scaling {
        Scaling::Window => learned::Scaling::Window,
        Scaling::None => learned::Scaling::None,
    };
    Model::from_file(&name, &bytes, Vec::new(), scaling).with_context(|| name.into_owned())
}

impl Chooser {
    fn bring(&mut self, file: &str, model: &Model) {
        let forecaster = model.forecaster();
        self.brought = Some(Brought {
            file: file.to_owned(),
            model: forecaster.name().to_owned(),
            weight_mean: 0.0,
            weight_last: 0.0,
            error: None,
            error_of_persistence: None,
            fault: None,
            looks: 0,
            compared: 0,
        });
        self.selector.add_model(forecaster);
    }

    /// In steps.
    pub(crate) fn horizon(&self) -> usize {
        self.horizon
    }

    /// How the model from a file fared, as of now.
    pub(crate) fn brought(mut self) -> Option<Brought> {
        self.look();
        self.brought
    }

    fn look(&mut self) {
        let Some(brought) = &mut self.brought else {
            return;
        };
        let models = self.selector.choice().models;
        let of = |name: &str| models.iter().find(|model| model.name == name);
        let (Some(own), Some(persistence)) = (of(&brought.model), of("last_value")) else {
            return;
        };
        brought.looks += 1;
        brought.weight_last = own.weight;
        brought.weight_mean += (own.weight - brought.weight_mean) / brought.looks as f64;
        brought.fault.clone_from(&own.refusal);
        if let Some((own, persistence)) = own.loss.zip(persistence.loss) {
            brought.compared += 1;
            let share = 1.0 / brought.compared as f64;
            let mean =
                |mean: Option<f64>, new: f64| Some(mean.map_or(new, |mean| mean + (new - mean) * share));
            brought.error = mean(brought.error, own);
            brought.error_of_persistence = mean(brought.error_of_persistence, persistence);
        }
    }
}

impl Stepwise for Chooser {
    fn observe(&mut self, y: Option<f64>) {
        Stepwise::observe(&mut self.selector, y);
        self.steps += 1;
        if self.steps.is_multiple_of(LOOK_EVERY) {
            self.look();
        }
    }

    fn predict(&mut self) -> Option<Prediction> {
        Stepwise::predict(&mut self.selector)
    }

    fn model(&self) -> &str {
        self.selector.model()
    }

    fn reason(&self) -> Option<String> {
        self.selector.reason()
    }
}

impl Brought {
    /// On one line, without the file's folder.
    pub(crate) fn shown(&self) -> String {
        let file = Path::new(&self.file)
            .file_name()
            .map(|name| name.to_string_lossy());
        let (file, model) = (file.unwrap_or_default(), &self.model);
        if let Some(fault) = &self.fault {
            return format!("{model} of {file} was dropped: {fault}");
        }
        let weight = 100.0 * self.weight_mean;
        let errors = self.error.zip(self.error_of_persistence);
        let beside = errors.filter(|(_, persistence)| *persistence > 0.0);
        let beside = beside.map_or("no error is known".into(), |(own, persistence)| {
            format!("error {:.2} of persistence's", own / persistence)
        });
        let last = 100.0 * self.weight_last;
        format!("{model} of {file}: weight {weight:.0} %, {last:.0} % at the end; {beside}")
    }
}
