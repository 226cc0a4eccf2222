//! Bytes as a series, and every model on it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Too few bytes are no case.
    let _ = foreshift_forecast_fuzz::models(bytes);
});
