//! The embedded engine answers as the model in memory does, whatever it is asked.

mod common;

use common::laws;
use foreshift_store::{Engine, engine::Embedded};
use proptest::prelude::*;

proptest! {
    // Each case waits for the disk some dozens of times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_embedded_engine_answers_as_the_model(ops in laws::any_ops(60)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let engine = Embedded::open(&folder.path().join("sessions.redb"), 1 << 20).unwrap();
            laws::answers_like_the_model(&engine, 7, &ops).await;
            engine.close().await;
        });
    }
}
