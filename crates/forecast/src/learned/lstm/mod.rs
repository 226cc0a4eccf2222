//! A recurrent network over many series: trained once, then it serves series that it has never seen.
//!
//! One LSTM layer reads a window, scaled by itself and beside what came a season before; one linear layer tells all
//! steps ahead at once, so no error is fed back. It is trained for the errors of persistence to be its zero: a network
//! that has learned nothing says "it stays as it is". Our own rather than a framework's: some hundred crates less, and
//! at this size no slower.
//!
//! Inside, weights and states are single precision. Values are not: a window is scaled in double precision, and the
//! answer put back so, hence a series at 1e9 keeps its last digits.
//!
//! It often loses to the online pool on load that nothing announces; so it is a candidate that a selector judges, never
//! one that is believed unseen.

mod adam;
mod cell;
mod data;
mod error;
mod file;
mod fitted;
mod gradient;
mod kernel;
mod net;
mod options;
mod random;
mod shape;
mod spread;
mod train;
mod window;

use std::sync::Arc;

pub use error::{LoadError, TrainError};
pub use file::Header;
pub use fitted::{LstmFitted, LstmForecaster};
use net::Net;
pub use options::{Executor, InTurn, Job, Progress, TrainOptions, TrainSeries};
use spread::Spread;

/// A trained network. A clone shares its weights, so that thousands of series cost one copy of them.
///
/// ```
/// use foreshift_forecast::{Fit, learned::{InTurn, Lstm, TrainOptions}};
///
/// let wave = |t: usize| 40.0 + 30.0 * (t as f64 * 0.4).sin() + (t % 7) as f64;
/// let series: Vec<f64> = (0..600).map(wave).collect();
/// let options = TrainOptions { window: 16, horizon: 4, hidden: 8, epochs: 3, ..TrainOptions::default() };
/// let lstm = Lstm::train(&[series.as_slice().into()], &options, &InTurn, |_| {})?;
///
/// let again = Lstm::from_bytes(&lstm.to_bytes())?;
/// assert_eq!(again, lstm);
/// let ahead = again.fit(&series)?.predict(4, &[0.1, 0.9]);
/// assert!(ahead.quantile(0.1) < ahead.quantile(0.9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Lstm {
    header: Arc<Header>,
    net: Arc<Net>,
    spread: Arc<Spread>,
}

impl Lstm {
    fn new(header: Header, net: Net, spread: Spread) -> Self {
        Self {
            header: Arc::new(header),
            net: Arc::new(net),
            spread: Arc::new(spread),
        }
    }

    /// Trains a network on all of `series`, of which each keeps its own end for judging.
    ///
    /// The same series, options and seed give the same weights, bit for bit, whoever `executor` is. `progress` is called
    /// after each batch, and once more at the end of each round.
    pub fn train<E: Executor + ?Sized>(
        series: &[TrainSeries<'_>],
        options: &TrainOptions,
        executor: &E,
        progress: impl FnMut(Progress),
    ) -> Result<Self, TrainError> {
        train::train(series, options, executor, progress)
    }

    /// What it was trained for and on, and how well that went.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl std::fmt::Debug for Lstm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lstm")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
