//! A model of either kind, as whoever is given a file needs it: known by the file's name, checked for its use.

use super::{LoadError, Lstm, Onnx, OnnxError, OnnxOptions, Scaling};
use crate::Forecaster;

/// A model from a file, of whichever kind. A clone shares it.
#[derive(Debug, Clone)]
pub enum Model {
    /// A network of ours, with the indices of its signals.
    Lstm(Lstm, Vec<usize>),
    /// Somebody else's.
    Onnx(Onnx),
}

/// Why a file is no model for the use that is asked of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Its name ends in neither `.onnx` nor `.safetensors`.
    #[error("this is neither an .onnx nor a .safetensors file")]
    Kind,
    /// It is no network of ours.
    #[error(transparent)]
    Lstm(#[from] LoadError),
    /// It is no ONNX model that keeps the contract.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// It was trained with more or fewer signals than are named.
    #[error("the model was trained with {found} signals beside the series, {named} are given")]
    Signals {
        /// Signals that it was trained with.
        found: usize,
        /// Signals that are named.
        named: usize,
    },
    /// It does not look as far ahead as is needed.
    #[error(
        "the model tells {found} steps ahead, {needed} are asked for; ask for fewer, or train it for as many"
    )]
    Horizon {
        /// Steps that it tells.
        found: usize,
        /// Steps that are needed.
        needed: usize,
    },
    /// It was trained for another step.
    #[error(
        "the model was trained for steps of {found_ms} ms, here they are of {needed_ms} ms; make them the same"
    )]
    Step {
        /// Milliseconds that it was trained for.
        found_ms: u64,
        /// Milliseconds that it would be used with.
        needed_ms: u64,
    },
}

impl Model {
    /// Reads the contents of a file whose name ends in `.onnx` or `.safetensors`.
    ///
    /// `signals` are the indices, into what [`Forecaster::update_with`] is given, of what it reads beside the series.
    /// `scaling` is that of an ONNX model; a network of ours knows its own.
    pub fn from_file(
        name: &str,
        bytes: &[u8],
        signals: Vec<usize>,
        scaling: Scaling,
    ) -> Result<Self, ModelError> {
        match name.rsplit_once('.') {
            Some((_, "safetensors")) => {
                let (lstm, named) = (Lstm::from_bytes(bytes)?, signals.len());
                match lstm.header().signals {
                    found if found == named => Ok(Self::Lstm(lstm, signals)),
                    found => Err(ModelError::Signals { found, named }),
                }
            }
            Some((_, "onnx")) => {
                let options = OnnxOptions {
                    scaling,
                    signals,
                    ..OnnxOptions::default()
                };
                Ok(Self::Onnx(Onnx::from_bytes(bytes, options)?))
            }
            _ => Err(ModelError::Kind),
        }
    }

    /// Whether a file of this name could be a model.
    pub fn is_named(name: &str) -> bool {
        matches!(name.rsplit_once('.'), Some((_, "safetensors" | "onnx")))
    }

    /// Steps ahead that it tells.
    pub fn horizon(&self) -> usize {
        match self {
            Self::Lstm(lstm, _) => lstm.header().horizon,
            Self::Onnx(onnx) => onnx.horizon(),
        }
    }

    /// Whether it serves steps of `step_ms` milliseconds, `horizon` of them ahead. One that looks further does.
    pub fn check(&self, step_ms: u64, horizon: usize) -> Result<(), ModelError> {
        if let Self::Lstm(lstm, _) = self
            && let Some(found_ms) = lstm.header().step_ms.filter(|found| *found != step_ms)
        {
            return Err(ModelError::Step {
                found_ms,
                needed_ms: step_ms,
            });
        }
        match self.horizon() {
            found if found < horizon => Err(ModelError::Horizon {
                found,
                needed: horizon,
            }),
            _ => Ok(()),
        }
    }

    /// As one of the online models, for one more series.
    pub fn forecaster(&self) -> Box<dyn Forecaster> {
        match self {
            Self::Lstm(lstm, signals) => Box::new(lstm.forecaster(signals)),
            Self::Onnx(onnx) => Box::new(onnx.forecaster()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MLP: &[u8] = include_bytes!("../../tests/fixtures/onnx/mlp.onnx");

    fn read(name: &str, bytes: &[u8]) -> Result<Model, ModelError> {
        Model::from_file(name, bytes, Vec::new(), Scaling::Window)
    }

    #[test]
    fn the_end_of_the_name_tells_the_kind() {
        for (name, is_model) in [
            ("a.onnx", true),
            ("b.c.safetensors", true),
            ("auto", false),
            ("a.pt", false),
        ] {
            assert_eq!(Model::is_named(name), is_model, "{name}");
        }
        assert_eq!(read("mlp.onnx", MLP).unwrap().forecaster().name(), "onnx");
        assert_eq!(read("mlp.pt", MLP).unwrap_err(), ModelError::Kind);
        assert!(matches!(read("mlp.safetensors", MLP), Err(ModelError::Lstm(_))));
    }

    #[test]
    fn a_model_serves_its_horizon_and_any_shorter_one() {
        let model = read("mlp.onnx", MLP).unwrap();
        let found = model.horizon();
        assert_eq!(model.check(60_000, 1), Ok(()));
        assert_eq!(model.check(60_000, found), Ok(()));
        let needed = found + 1;
        assert_eq!(
            model.check(60_000, needed),
            Err(ModelError::Horizon { found, needed })
        );
    }
}
