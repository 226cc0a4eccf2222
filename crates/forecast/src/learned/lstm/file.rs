//! A network as a safetensors file: 32-bit floats, and a header that says what they are.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{
    LoadError, Lstm, TrainOptions,
    net::Net,
    shape::Shape,
    spread::{PROBABILITIES, Spread},
};

/// What a trained network is, and how well it did. In the file it is the value of the header's `foreshift_lstm`, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Of the file's format.
    pub version: u32,
    /// Steps that it reads.
    pub window: usize,
    /// Steps ahead that it tells.
    pub horizon: usize,
    /// Size of its state.
    pub hidden: usize,
    /// Seasons that it is shown, in steps.
    pub periods: Vec<usize>,
    /// Other series that it is shown.
    pub signals: usize,
    /// Milliseconds of the step that it was trained for; none where it serves any.
    pub step_ms: Option<u64>,
    /// What its chance began from.
    pub seed: u64,
    /// Series that it was trained on.
    pub series: usize,
    /// Windows to learn from that those have.
    pub windows: usize,
    /// Rounds that it was trained for.
    pub epochs: usize,
    /// Mean loss on what was learned from, in the round whose weights were kept: Huber's, on errors in units of each
    /// window's spread.
    pub training_loss: f64,
    /// The same on what was held out.
    pub validation_loss: f64,
    /// What "it stays as it is" would have lost there; a network above it is worse than none.
    pub persistence_loss: f64,
}

const VERSION: u32 = 1;
const KEY: &str = "foreshift_lstm";
/// No weight of a training that went well is near it.
const VALUE_MAX: f32 = 1e6;
/// Parts of the parameters, and the errors' quantiles.
const NAMES: [&str; 5] = [
    "gates.weight",
    "gates.offset",
    "head.weight",
    "head.offset",
    "spread",
];

impl Header {
    pub(super) fn of(options: &TrainOptions) -> Self {
        Self {
            version: VERSION,
            window: options.window,
            horizon: options.horizon,
            hidden: options.hidden,
            periods: options.periods.clone(),
            signals: options.signals,
            step_ms: options.step_ms,
            seed: options.seed,
            series: 0,
            windows: 0,
            epochs: 0,
            training_loss: 0.0,
            validation_loss: 0.0,
            persistence_loss: 0.0,
        }
    }

    fn shape(&self) -> Result<Shape, LoadError> {
        if self.version != VERSION {
            return Err(LoadError::Version {
                found: self.version,
                known: VERSION,
            });
        }
        let shape = Shape {
            window: self.window,
            horizon: self.horizon,
            hidden: self.hidden,
            periods: self.periods.clone(),
            signals: self.signals,
        };
        shape.check()?;
        Ok(shape)
    }
}

fn shapes(shape: &Shape) -> [Vec<usize>; 5] {
    [
        vec![shape.joined(), shape.gates()],
        vec![shape.gates()],
        vec![shape.head_inputs(), shape.horizon],
        vec![shape.horizon],
        vec![shape.horizon, PROBABILITIES.len()],
    ]
}

impl Lstm {
    /// As a safetensors file; the same network gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = self.net.parts();
        let data = [
            parts.gates,
            parts.gate_offsets,
            parts.head,
            parts.head_offsets,
            &self.spread.offsets,
        ];
        let data = data.map(|floats| floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let tensors = NAMES.iter().zip(shapes(&self.net.shape)).zip(&data);
        let tensors = tensors.map(|((name, shape), data)| {
            let view = TensorView::new(Dtype::F32, shape, data);
            (*name, view.expect("a part is as long as its shape says"))
        });
        let header = serde_json::to_string(&self.header).expect("numbers and lists of numbers become JSON");
        let metadata = [(KEY.to_owned(), header)].into_iter().collect();
        safetensors::serialize(tensors, Some(metadata)).expect("names are unique and the header is short")
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Sizes, shapes and finiteness are checked; no bytes make it panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let format = |error: safetensors::SafeTensorError| LoadError::Format {
            reason: error.to_string(),
        };
        let header = |reason: String| LoadError::Header { reason };
        let tensors = SafeTensors::deserialize(bytes).map_err(format)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(KEY));
        let text = text.ok_or_else(|| header(format!("it has no {KEY:?}")))?;
        let header: Header = serde_json::from_str(text).map_err(|error| header(error.to_string()))?;
        let shape = header.shape()?;
        let mut parts = Vec::with_capacity(NAMES.len());
        for (name, expected) in NAMES.into_iter().zip(shapes(&shape)) {
            parts.push(floats(&tensors, name, expected)?);
        }
        let spread = Spread {
            offsets: parts.pop().unwrap_or_default(),
        };
        if let Some(step) = spread.crossing() {
            return Err(LoadError::Crossing { step });
        }
        let parameters = parts.concat();
        Ok(Self::new(header, Net { shape, parameters }, spread))
    }
}

fn floats(
    tensors: &SafeTensors<'_>,
    name: &'static str,
    expected: Vec<usize>,
) -> Result<Vec<f32>, LoadError> {
    let wrong = |expected, found: String| LoadError::Shape {
        name,
        expected,
        found,
    };
    let Ok(tensor) = tensors.tensor(name) else {
        return Err(wrong(expected, "none".into()));
    };
    if tensor.dtype() != Dtype::F32 || tensor.shape() != expected {
        let found = format!("{:?} of shape {:?}", tensor.dtype(), tensor.shape());
        return Err(wrong(expected, found));
    }
    let (bytes, _) = tensor.data().as_chunks::<4>();
    let floats: Vec<f32> = bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match floats.iter().position(|x| x.is_nan() || x.abs() > VALUE_MAX) {
        Some(index) => Err(LoadError::Value { name, index }),
        None => Ok(floats),
    }
}
