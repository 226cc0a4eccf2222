//! The end of a data plane: for good, or because another process goes on in its place.

use std::time::{Duration, Instant};

use crate::{handle::Handle, message::ToWorker};

/// Time that what is told to end gets beyond the patience.
const LAST: Duration = Duration::from_secs(2);
/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(50);

impl Handle {
    /// Ends gracefully: takes no new connections, answers what was asked, ends what idles, and after `patience` closes what
    /// is still open.
    pub async fn drain(&self, patience: Duration) {
        self.close_listeners();
        self.tell_workers(|| ToWorker::Drain { idle: true });
        self.wait_for_the_last(Instant::now() + patience, 1001, "server going away")
            .await;
    }

    /// Ends in favour of another process that listens on the same sockets: takes no new connections, and ends each with its
    /// next answer, which says so. One that idles is not ended before `patience` is over, since its next request may be on
    /// its way. Streams are closed then with 1012, so that their clients connect anew.
    pub async fn leave(&self, patience: Duration) {
        self.close_listeners();
        self.tell_workers(|| ToWorker::Drain { idle: false });
        self.wait_for_the_last(Instant::now() + patience, 1012, "service restart")
            .await;
    }

    /// Whether every worker answers; not before each has.
    pub async fn answers(&self) -> bool {
        self.ask(|answer| ToWorker::Open { answer }).await.len() == self.workers.len()
    }

    async fn wait_for_the_last(&self, until: Instant, code: u16, reason: &'static str) {
        let mut closing = false;
        loop {
            // Each worker answers in turn: who waited in a queue has been taken in.
            let streams: usize = self
                .ask(|answer| ToWorker::Open { answer })
                .await
                .into_iter()
                .sum();
            let open = streams.max(self.clients());
            if open == 0 || Instant::now() >= until + LAST {
                return;
            }
            if Instant::now() >= until && !std::mem::replace(&mut closing, true) {
                tracing::info!(open, "closing connections that did not end by themselves");
                self.tell_workers(|| ToWorker::Drain { idle: true });
                self.tell_workers(|| ToWorker::Close { code, reason });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
