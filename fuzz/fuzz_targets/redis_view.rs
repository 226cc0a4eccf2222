//! `redis_view` of `foreshift_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| foreshift_fuzz::run("redis_view", bytes));
