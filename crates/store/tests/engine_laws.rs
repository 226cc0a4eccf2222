//! The model in memory answers as itself: what the law asks can be asked of every engine.

mod common;

use common::laws;
use foreshift_store::engine::Memory;
use proptest::prelude::*;

proptest! {
    #[test]
    fn two_models_answer_alike(ops in laws::any_ops(60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(laws::answers_like_the_model(&Memory::default(), 7, &ops));
    }
}
