//! What fuzzed bytes are made into, and what must hold of all that is asked with them.
//!
//! The first byte says which part of the library is asked, the rest is the series and the questions. So one target
//! reaches everything, and what was learned of one part's input serves the others. Nothing may panic, nothing that is
//! not finite may come out, and nothing may take long: the last is for libfuzzer's `-timeout`.

mod batch;
#[cfg(feature = "files")]
mod files;
mod input;
mod online;
mod selection;
mod series;

use arbitrary::{Result, Unstructured};

#[cfg(feature = "files")]
pub use files::files;

/// One case for one part.
pub fn models(bytes: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(bytes);
    match u.int_in_range(0..=9)? {
        0 | 1 => batch::models(&mut u),
        2 => batch::arima(&mut u),
        3 => batch::diagnostics(&mut u),
        4 => online::models(&mut u),
        5 => online::predictor(&mut u),
        6 | 7 => selection::selector(&mut u),
        8 => selection::backtest(&mut u),
        _ => series::resampling(&mut u),
    }
}
