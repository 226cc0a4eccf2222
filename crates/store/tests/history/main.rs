//! A partition is linearizable whoever writes it, while its session moves from node to node and the engine fails.
//!
//! Clients of one partition read, write and move the session; each operation is recorded with when it was called and when it
//! answered. A checker looks for an order of them in which a plain model gives the same answers. Engines that are broken on purpose
//! must not pass: they show that the test can fail.

mod check;
mod faults;
mod model;
mod play;

use std::{sync::Arc, time::Duration};

use faults::{Broken, Faulty};
use foreshift_store::{
    Engine,
    engine::{Embedded, Memory},
};
use play::play;

/// A history of the model in memory, the same in each run with this seed.
fn in_memory(seed: u64, broken: Option<Broken>) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let engine = Arc::new(Memory::default());
    let history = runtime.block_on(play(Arc::new(Faulty::new(engine, seed, broken)), seed));
    check::check(&history).map(|()| history.len())
}

#[test]
fn every_history_in_memory_has_an_order() {
    let mut operations = 0;
    for seed in 0..500 {
        operations += in_memory(seed, None).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    assert!(
        operations > 500 * 40,
        "{operations} operations: too few to show anything"
    );
}

#[test]
fn every_history_of_the_embedded_engine_has_an_order() {
    for seed in 0..25 {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        let history = runtime.block_on(async {
            let engine = Embedded::open(&folder.path().join("sessions.redb"), 1 << 20).expect("it opens");
            let engine: Arc<dyn Engine> = Arc::new(engine);
            let history = play(Arc::new(Faulty::new(Arc::clone(&engine), seed, None)), seed).await;
            engine.close().await;
            history
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        check::check(&history).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn a_broken_engine_is_found_out() {
    for broken in [
        Broken::NoFence,
        Broken::NoCondition,
        Broken::LosesAcknowledged,
        Broken::AcknowledgesEarly,
        Broken::ReadsOld,
        Broken::HalfABatch,
    ] {
        let found = (0..60)
            .filter(|seed| in_memory(*seed, Some(broken)).is_err())
            .count();
        assert!(found >= 20, "{broken:?} was found in {found} of 60 histories");
    }
}
