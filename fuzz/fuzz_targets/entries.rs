//! `entries` of `foreshift_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| foreshift_fuzz::run("entries", bytes));
