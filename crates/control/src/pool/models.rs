//! The models that a pool's nodes are forecast with.

use foreshift_forecast::{Error, Predictor, PredictorOptions};

use super::own_signals::OwnSignals;
use crate::learned::Learned;

/// Makes the predictors of a pool's nodes, all alike.
pub(crate) struct Models {
    options: PredictorOptions,
    learned: Option<Learned>,
}

impl Models {
    /// Checks the options once, so that making a predictor for a node cannot fail later.
    pub(super) fn new(options: PredictorOptions, learned: Option<Learned>) -> Result<Self, Error> {
        Predictor::new(options.clone())?;
        Ok(Self { options, learned })
    }

    /// A predictor for one more node. `stagger` spreads the periodic work; any number that differs between nodes.
    pub(super) fn predictor(&self, stagger: u64) -> Predictor {
        let options = PredictorOptions {
            stagger,
            ..self.options.clone()
        };
        let mut predictor =
            Predictor::new(options).expect("these options were accepted when the pool was opened");
        // Where one model is named, it is meant alone.
        if self.options.model == "auto" {
            predictor.add_model(Box::new(OwnSignals::new(self.steps())));
        }
        if let Some(learned) = &self.learned {
            predictor.add_model(learned.forecaster());
        }
        predictor
    }

    /// Ends a round of all nodes. Gives, once, why the pool's own model was dropped.
    pub(super) fn end_round(&mut self) -> Option<&str> {
        self.learned.as_mut()?.end_round(self.options.step)
    }

    /// Steps of the horizon; the options were checked, so the step is not zero.
    fn steps(&self) -> usize {
        let (horizon, step) = (self.options.horizon.as_millis(), self.options.step.as_millis());
        horizon.div_ceil(step.max(1)) as usize
    }
}
