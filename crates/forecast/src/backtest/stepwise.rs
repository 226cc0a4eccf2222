//! What a back-test drives: anything that takes a value a step and predicts.

use crate::{Error, Prediction, Predictor, PredictorOptions};

/// A forecaster that takes one step after the other.
pub trait Stepwise {
    /// Takes the next step's value; `None` where it is missing.
    fn observe(&mut self, y: Option<f64>);

    /// What it expects of the following steps, or nothing while it knows too little. The number of steps and the
    /// quantiles are always the same.
    fn predict(&mut self) -> Option<Prediction>;

    /// The model that the newest prediction was made by, for people.
    fn model(&self) -> &str;

    /// Why that one, for people.
    fn reason(&self) -> Option<String> {
        None
    }
}

/// The online pool as the ingress runs it, step by step.
///
/// Knows loads of 0 and above only: negative values count as 0, values over 1e9 as 1e9.
#[derive(Debug)]
pub struct Online {
    predictor: Predictor,
    step_ms: u64,
    now_ms: u64,
    model: String,
}

impl Online {
    /// A predictor with these options; its step is only a unit of time here.
    pub fn new(options: PredictorOptions) -> Result<Self, Error> {
        let step_ms = options.step.as_millis() as u64;
        Ok(Self {
            predictor: Predictor::new(options)?,
            step_ms,
            now_ms: 0,
            model: "pool".into(),
        })
    }
}

impl Stepwise for Online {
    fn observe(&mut self, y: Option<f64>) {
        self.now_ms += self.step_ms;
        self.predictor.observe(self.now_ms, y);
    }

    fn predict(&mut self) -> Option<Prediction> {
        let forecast = self.predictor.forecast()?;
        forecast.model().clone_into(&mut self.model);
        Prediction::new(forecast.point().to_vec(), forecast.quantiles().to_vec()).ok()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn reason(&self) -> Option<String> {
        let forecast = self.predictor.forecast()?;
        let (error, simple) = forecast.error().zip(forecast.error_of_persistence())?;
        Some(format!(
            "the pool's mean error at the end of the horizon was {error:.4} lately, that of persistence {simple:.4}"
        ))
    }
}
