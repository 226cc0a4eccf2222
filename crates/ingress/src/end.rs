//! The end of a data plane: for good, or because another process goes on in its place.

use std::time::{Duration, Instant};

use crate::{
    handle::Handle,
    message::{StreamCommand, ToWorker},
    returns::{Returns, closing_time},
};

/// Time that what is told to end gets beyond the patience.
const LAST: Duration = Duration::from_secs(2);
/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(50);
/// How many looks until it is looked for clients that can be told now: few hand-overs end meanwhile.
const LOOKS_TO_TELL: u32 = 10;
/// What a client whose stream is closed in favour of the next process is told.
const RESTART: (u16, &str) = (1012, "service restart");

impl Handle {
    /// Ends gracefully: takes no new connections, answers what was asked, ends what idles, and after `patience` closes what
    /// is still open.
    pub async fn drain(&self, patience: Duration) {
        self.close_listeners();
        self.tell_workers(|| ToWorker::Drain { idle: true });
        let until = Instant::now() + patience;
        while self.is_open().await && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        self.close_the_rest(until, 1001, "server going away").await;
    }

    /// Ends in favour of another process that listens on the same sockets: takes no new connections, and ends each with its
    /// next answer, which says so. One that idles is not ended before `patience` is over, since its next request may be on
    /// its way.
    ///
    /// WebSocket clients that speak `foreshift.v1` are told to go on with the other process, at the pace of their pools. Other
    /// streams are closed over the last quarter of the patience (five minutes at most) with 1012, so that their clients connect anew.
    pub async fn leave(&self, patience: Duration) {
        self.close_listeners();
        self.tell_workers(|| ToWorker::Drain { idle: false });
        let (begun, mut returns) = (Instant::now(), Returns::new(patience));
        let within = closing_time(patience);
        let (mut told, mut closing) = (0, false);
        let mut rounds = (0..LOOKS_TO_TELL).cycle();
        // Each worker answers in turn: who waited in a queue has been taken in.
        while self.is_open().await && begun.elapsed() < patience {
            if rounds.next() == Some(0) {
                told += self.send_on(&mut returns, begun).await;
            }
            if begun.elapsed() >= patience - within && !std::mem::replace(&mut closing, true) {
                tracing::info!(?within, "closing streams that did not end by themselves");
                let (code, reason) = RESTART;
                self.tell_workers(|| ToWorker::CloseOver { within, code, reason });
            }
            tokio::time::sleep(LOOK).await;
        }
        tracing::info!(told, "clients were told to go on with the new process");
        self.close_the_rest(begun + patience, RESTART.0, RESTART.1).await;
    }

    /// Whether every worker answers; not before each has.
    pub async fn answers(&self) -> bool {
        self.ask(|answer| ToWorker::Open { answer }).await.len() == self.workers.len()
    }

    /// Tells clients that were not told yet to go on with the next process. How many were.
    async fn send_on(&self, returns: &mut Returns, begun: Instant) -> u64 {
        let mut told = 0;
        let streams = self.ask(|answer| ToWorker::Returnable { answer }).await;
        for stream in streams.into_iter().flatten() {
            let planned = returns.plan(&stream.to, stream.per_second, stream.within, begun.elapsed());
            let (Some((delay, within)), Some(worker)) =
                (planned, self.workers.get(usize::from(stream.worker)))
            else {
                continue;
            };
            let _ = worker.send(ToWorker::Stream {
                connection: stream.connection,
                command: StreamCommand::Return { within, delay },
            });
            told += 1;
        }
        told
    }

    async fn is_open(&self) -> bool {
        let streams = self.ask(|answer| ToWorker::Open { answer }).await;
        streams.into_iter().sum::<usize>().max(self.clients()) > 0
    }

    /// Closes what is still open, now that its time is over, and waits a little for the ends.
    async fn close_the_rest(&self, until: Instant, code: u16, reason: &'static str) {
        if !self.is_open().await {
            return;
        }
        tracing::info!("closing connections that did not end by themselves");
        self.tell_workers(|| ToWorker::Drain { idle: true });
        self.tell_workers(|| ToWorker::Close { code, reason });
        while self.is_open().await && Instant::now() < until + LAST {
            tokio::time::sleep(LOOK).await;
        }
    }
}
