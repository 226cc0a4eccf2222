//! A model of somebody else's, as an ONNX file.
//!
//! The contract: one input of 32-bit floats, `[1, window]` or `[1, window, features]`, oldest step first; one output,
//! `[1, horizon]` or `[1, horizon, quantiles]`, nearest step first. The first dimension may be left open; the window too,
//! where [`OnnxOptions::window`] says it. LSTM, GRU, convolutions, attention and plain layers run;
//! tree ensembles and control flow (`If`, `Loop`, `Scan`) do not.
//!
//! A file is believed only after it was tried, with typical windows and with the most extreme ones that it can be fed. A
//! model that goes wrong later, by an answer that is no number or a panic, is dropped for good and says why
//! ([`Forecaster::fault`](crate::Forecaster::fault)). How long it takes is for the shell to measure: there is no clock
//! here.

mod engine;
mod error;
mod fitted;
mod graph;
mod options;
mod scaled;

use std::sync::Arc;

use engine::Engine;
pub use error::{Fault, OnnxError};
pub use fitted::{OnnxFitted, OnnxForecaster};
pub use options::{OnnxOptions, Scaling};

/// A model that was read and tried. A clone shares it.
///
/// ```no_run
/// use foreshift_forecast::learned::{Onnx, OnnxOptions};
///
/// # fn read() -> Vec<u8> { Vec::new() }
/// let bytes: Vec<u8> = read();
/// let options = OnnxOptions { horizon: 20, ..OnnxOptions::default() };
/// let model = Onnx::from_bytes(&bytes, options)?.forecaster();
/// # Ok::<(), foreshift_forecast::learned::OnnxError>(())
/// ```
#[derive(Clone)]
pub struct Onnx {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    options: OnnxOptions,
    shape: Vec<usize>,
    window: usize,
    features: usize,
    horizon: usize,
    /// Numbers for each step ahead: one, or one for each quantile.
    width: usize,
}

const WINDOW_MAX: usize = 65_536;
const HORIZON_MAX: usize = 65_536;

impl Onnx {
    /// Reads a model, checks its shapes against `options`, and tries it. No bytes make it panic.
    pub fn from_bytes(bytes: &[u8], options: OnnxOptions) -> Result<Self, OnnxError> {
        options.check()?;
        let engine = Engine::new(bytes)?;
        let (window, features, has_features) = input_of(&engine, &options)?;
        let mut shape = vec![1, window];
        if has_features {
            shape.push(features);
        }
        let mut inner = Inner {
            engine,
            options,
            shape,
            window,
            features,
            horizon: 0,
            width: 0,
        };
        inner.learn_output()?;
        inner.try_out()?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Steps that it reads.
    pub fn window(&self) -> usize {
        self.inner.window
    }

    /// Features of each step, the series itself being the first.
    pub fn features(&self) -> usize {
        self.inner.features
    }

    /// Steps ahead that it answers.
    pub fn horizon(&self) -> usize {
        self.inner.horizon
    }
}

impl std::fmt::Debug for Onnx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onnx")
            .field("window", &self.inner.window)
            .field("features", &self.inner.features)
            .field("horizon", &self.inner.horizon)
            .finish_non_exhaustive()
    }
}

/// Window, features, and whether those are a dimension.
fn input_of(engine: &Engine, options: &OnnxOptions) -> Result<(usize, usize, bool), OnnxError> {
    let wanted = 1 + options.signals.len();
    let expected = match wanted {
        1 => "[1, window] or [1, window, 1]".to_owned(),
        _ => format!("[1, window, {wanted}], for the series and {} signals", wanted - 1),
    };
    let found = engine.input_shape();
    let refuse = |expected: String| OnnxError::InputShape {
        found: found.as_deref().map_or("unknown".into(), shown),
        expected,
    };
    let (batch, window, features) = match found.as_deref() {
        Some(&[batch, window]) => (batch, window, None),
        Some(&[batch, window, features]) => (batch, window, Some(features)),
        _ => return Err(refuse(expected)),
    };
    if batch.is_some_and(|size| size != 1) || features.map_or(1, |size| size.unwrap_or(wanted)) != wanted {
        return Err(refuse(expected));
    }
    let Some(size) = window.or(options.window) else {
        return Err(refuse("a fixed window, or one that the options name".into()));
    };
    if !(1..=WINDOW_MAX).contains(&size) || options.window.is_some_and(|named| named != size) {
        let named = options
            .window
            .map_or(format!("a window of 1 to {WINDOW_MAX}"), |named| {
                format!("a window of {named}")
            });
        return Err(refuse(named));
    }
    Ok((size, wanted, features.is_some()))
}

fn shown(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or("?".into(), |size| size.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

impl Inner {
    /// Runs it once to see what comes out: files often leave the output's shape open.
    fn learn_output(&mut self) -> Result<(), OnnxError> {
        let zeros = vec![0.0; self.window * self.features];
        let trial = |fault| OnnxError::Trial {
            window: "zeros",
            fault,
        };
        let (found, _) = self.engine.run(&self.shape, &zeros).map_err(trial)?;
        let (needed, quantiles) = (self.options.horizon.max(1), self.options.quantiles.len());
        (self.horizon, self.width) = match found[..] {
            [1, horizon] => (horizon, 1),
            [1, horizon, width] if width == quantiles => (horizon, width),
            [1, horizon, 1] => (horizon, 1),
            _ => (0, 0),
        };
        if (needed..=HORIZON_MAX).contains(&self.horizon) {
            return Ok(());
        }
        Err(OnnxError::OutputShape {
            found: format!("{found:?}"),
            expected: format!(
                "[1, horizon] or [1, horizon, {quantiles}], with a horizon of {needed} to {HORIZON_MAX}"
            ),
        })
    }

    /// Tries it with all that it may be fed: what is usual, and the most extreme.
    fn try_out(&self) -> Result<(), OnnxError> {
        let largest = self.options.scaling.input_max() as f32;
        let usual = if largest > 1_000.0 { 100.0 } else { 2.0 };
        let count = self.window * self.features;
        let share = |i: usize| i as f32 / count as f32;
        let windows: [(&str, &dyn Fn(usize) -> f32); 8] = [
            ("zeros", &|_| 0.0),
            ("a constant", &|_| usual),
            ("a ramp", &|i| usual * share(i)),
            ("a wave", &|i| usual * (i as f32 * 0.7).sin()),
            ("a burst", &|i| {
                if i + self.features >= count { largest } else { 0.0 }
            }),
            ("the largest values", &|_| largest),
            ("the smallest values", &|_| -largest),
            ("values that alternate between the extremes", &|i| {
                if (i / self.features).is_multiple_of(2) {
                    largest
                } else {
                    -largest
                }
            }),
        ];
        let mut answer = vec![0.0; self.horizon * self.width];
        for (window, value) in windows {
            let values: Vec<f32> = (0..count).map(value).collect();
            self.answer(&values, &mut answer)
                .map_err(|fault| OnnxError::Trial { window, fault })?;
        }
        Ok(())
    }

    /// Answers a window in the model's own units, horizon × width numbers, all finite and in range.
    fn answer(&self, window: &[f32], answer: &mut [f32]) -> Result<(), Fault> {
        let (_, found) = self.engine.run(&self.shape, window)?;
        if found.len() != answer.len() {
            return Err(Fault::Length {
                found: found.len(),
                expected: answer.len(),
            });
        }
        let max = self.options.scaling.output_max();
        for (i, (&value, cell)) in found.iter().zip(answer).enumerate() {
            let step = i / self.width;
            if !value.is_finite() {
                return Err(Fault::NotFinite { step, value });
            }
            if f64::from(value.abs()) > max {
                return Err(Fault::Range { step, value, max });
            }
            *cell = value;
        }
        Ok(())
    }
}
