//! The one place that knows rten: a file becomes something that answers windows, or an error.
//!
//! Operators have panicked before on graphs that they did not expect; so every call into rten is caught, and a panic is
//! a [`Fault`] like any other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rten::{DataType, Dimension, Model, RunOptions, ThreadPool, ValueOrView, ValueType};
use rten_tensor::{AsView, Layout, Tensor, TensorView};

use super::{Fault, OnnxError, graph};

/// No model of this size would answer within a tick.
const BYTES_MAX: usize = 64 << 20;

/// A model with one input and one output, both of floats.
pub(super) struct Engine {
    model: Model,
    /// One thread, which rten insists on: the models are too small for more to pay.
    threads: Arc<ThreadPool>,
}

impl Engine {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, OnnxError> {
        if bytes.len() > BYTES_MAX {
            return Err(OnnxError::Size {
                found: bytes.len(),
                max: BYTES_MAX,
            });
        }
        let load = |reason| OnnxError::Load { reason };
        graph::check(bytes).map_err(load)?;
        let model = caught(|| Model::load(bytes.to_vec()))
            .map_err(load)?
            .map_err(|error| load(error.to_string()))?;
        let engine = Self {
            model,
            threads: Arc::new(ThreadPool::with_num_threads(1)),
        };
        engine.check_ends()?;
        Ok(engine)
    }

    fn check_ends(&self) -> Result<(), OnnxError> {
        let (inputs, outputs) = (self.model.input_ids(), self.model.output_ids());
        let (&[input], &[output]) = (inputs, outputs) else {
            return Err(OnnxError::Ends {
                inputs: inputs.len(),
                outputs: outputs.len(),
            });
        };
        for (end, id) in [("input", input), ("output", output)] {
            match self.model.node_info(id).and_then(|info| info.dtype()) {
                Some(ValueType::Tensor(DataType::Float)) | None => {}
                Some(other) => {
                    let found = format!("{other:?}");
                    return Err(OnnxError::Type { end, found });
                }
            }
        }
        Ok(())
    }

    /// The input's dimensions, `None` for each that the file leaves open; `None` where it says nothing of them.
    pub(super) fn input_shape(&self) -> Option<Vec<Option<usize>>> {
        let dimensions = self.model.input_shape(0)?;
        let fixed = |dimension| match dimension {
            Dimension::Fixed(size) => Some(size),
            Dimension::Symbolic(_) => None,
        };
        Some(dimensions.into_iter().map(fixed).collect())
    }

    /// The answer and its shape; the answer is not checked.
    pub(super) fn run(&self, shape: &[usize], window: &[f32]) -> Result<(Vec<usize>, Vec<f32>), Fault> {
        let options = RunOptions::default().with_thread_pool(Some(self.threads.clone()));
        let run = || {
            let input = TensorView::from_data(shape, window);
            self.model.run_one(ValueOrView::from(input), Some(options))
        };
        let failed = |reason| Fault::Run { reason };
        let answer = caught(run)
            .map_err(|reason| Fault::Panic { reason })?
            .map_err(|error| failed(error.to_string()))?;
        let answer: Tensor<f32> = answer
            .try_into()
            .map_err(|_| failed("its answer is not of 32-bit floats".into()))?;
        Ok((answer.shape().to_vec(), answer.to_vec()))
    }
}

/// Calls, and gives what a panic said as an error.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a word".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        assert_eq!(caught(|| 3), Ok(3));
        let empty: Vec<u8> = Vec::new();
        let error = caught(|| empty[1]).unwrap_err();
        assert!(error.contains("index out of bounds"), "{error}");
    }
}
