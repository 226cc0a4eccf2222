//! `metric_selector` of `foreshift_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| foreshift_fuzz::run("metric_selector", bytes));
