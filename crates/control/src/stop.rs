//! The signal to end.

use tokio::sync::watch;

/// Returns once `stop` is true, or nobody is left who could make it so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that this returns must not live across the caller's awaits: it is a lock.
    let _ = stop.wait_for(|stop| *stop).await;
}
