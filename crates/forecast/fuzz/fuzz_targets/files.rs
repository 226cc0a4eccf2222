//! Bytes as a file that somebody brings, whole or as damage to a good one.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // The library catches what panics inside somebody else's model; libfuzzer's own hook would end the process
        // before it can. A panic that is not caught ends it still.
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    },
    |bytes: &[u8]| {
        let _ = foreshift_forecast_fuzz::files(bytes);
    }
);
