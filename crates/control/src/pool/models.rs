//! The models that a pool's nodes are forecast with.

use foreshift_forecast::{Error, Multivariate, Predictor, PredictorOptions};

/// Makes the predictors of a pool's nodes, all alike.
pub(super) struct Models {
    options: PredictorOptions,
}

impl Models {
    /// Checks the options once, so that making a predictor for a node cannot fail later.
    pub(super) fn new(options: PredictorOptions) -> Result<Self, Error> {
        Predictor::new(options.clone())?;
        Ok(Self { options })
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
            predictor.add_model(Box::new(Multivariate::of_node_signals(self.steps())));
        }
        predictor
    }

    /// Steps of the horizon; the options were checked, so the step is not zero.
    fn steps(&self) -> usize {
        let (horizon, step) = (self.options.horizon.as_millis(), self.options.step.as_millis());
        horizon.div_ceil(step.max(1)) as usize
    }
}
