//! Hundreds of sockets that keep sending, with a mix of sizes and styles, and count what comes back.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use super::socket::{Received, Receiver, Sender, Socket, SocketOptions, Style};
use crate::{Checker, Tally};

/// What a swarm is like.
#[derive(Debug, Clone)]
pub struct SwarmOptions {
    /// Where its sockets connect.
    pub address: SocketAddr,
    /// How many sockets.
    pub sockets: usize,
    /// How many sockets share a user (the header `x-user`: `user-0`, `user-1` …); 1 gives each its own.
    pub sockets_per_user: usize,
    /// Mean time between two messages of a socket; the true ones are spread evenly from 0 to twice as much.
    pub interval: Duration,
    /// Have the backend send messages of its own accord this often.
    pub push_every: Option<Duration>,
    /// Of a thousand messages, how many are fragmented.
    pub fragmented_per_mille: u32,
    /// Of a thousand messages, how many have 1 MiB.
    pub large_per_mille: u32,
    /// Of a thousand messages, how many have a ping behind them.
    pub pings_per_mille: u32,
    /// Of a thousand messages, how many are binary.
    pub binary_per_mille: u32,
    /// Of sizes, styles and times.
    pub seed: u64,
    /// How long to wait for the last answers.
    pub patience: Duration,
}

impl SwarmOptions {
    /// A mix of everything, small messages mostly.
    pub fn new(address: SocketAddr, sockets: usize) -> Self {
        Self {
            address,
            sockets,
            sockets_per_user: 1,
            interval: Duration::from_millis(20),
            push_every: Some(Duration::from_millis(50)),
            fragmented_per_mille: 100,
            large_per_mille: 2,
            pings_per_mille: 50,
            binary_per_mille: 200,
            seed: 1,
            patience: Duration::from_secs(10),
        }
    }
}

/// Sockets that are sending.
#[derive(Debug)]
pub struct Swarm {
    stop: watch::Sender<bool>,
    members: JoinSet<Member>,
}

/// What a swarm found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SwarmReport {
    /// All sockets together.
    pub tally: Tally,
    /// Sockets that were closed by the other side before the end.
    pub closed_early: usize,
}

#[derive(Debug)]
struct Member {
    tally: Tally,
    closed_early: bool,
}

impl Swarm {
    /// Opens all sockets, then lets them begin. Fails where one cannot be opened.
    pub async fn start(options: SwarmOptions) -> anyhow::Result<Self> {
        let mut sockets = Vec::with_capacity(options.sockets);
        for number in 0..options.sockets {
            let user = format!("user-{}", number / options.sockets_per_user.max(1));
            let mut socket = SocketOptions::new(options.address, &user);
            if let Some(every) = options.push_every {
                socket.path = format!("/?push_ms={}", every.as_millis());
            }
            sockets.push(Socket::connect(&socket).await?);
        }
        let stop = watch::Sender::new(false);
        let mut members = JoinSet::new();
        let options = Arc::new(options);
        for (number, socket) in sockets.into_iter().enumerate() {
            members.spawn(run(options.clone(), number as u64, socket, stop.subscribe()));
        }
        Ok(Self { stop, members })
    }

    /// Ends sending, waits for the last answers, closes, and adds up.
    pub async fn stop(mut self) -> SwarmReport {
        self.stop.send_replace(true);
        let mut report = SwarmReport::default();
        while let Some(member) = self.members.join_next().await {
            // A member that panicked fails the test through its message on stderr and the count below.
            let Ok(member) = member else {
                report.closed_early += 1;
                continue;
            };
            report.tally += member.tally;
            report.closed_early += usize::from(member.closed_early);
        }
        report
    }
}

/// What a member's two halves share.
#[derive(Debug, Default)]
struct Book {
    state: Mutex<BookState>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct BookState {
    checker: Checker,
    /// Digests of the payloads that must come back.
    payloads: HashMap<u64, u64>,
    spoilt: u64,
    /// This side has taken leave.
    leaving: bool,
    closed: bool,
    closed_early: bool,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, BookState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    async fn wait_until_answered(&self) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            let done = {
                let state = self.lock();
                state.closed || state.checker.pending() == 0
            };
            if done {
                return;
            }
            answered.await;
        }
    }
}

async fn run(options: Arc<SwarmOptions>, number: u64, socket: Socket, stop: watch::Receiver<bool>) -> Member {
    let (mut sender, receiver, checker) = socket.split();
    let book = Arc::new(Book::default());
    book.lock().checker = checker;
    let mut receiving = tokio::spawn(receive(book.clone(), receiver));
    send(&options, number, &book, &mut sender, stop).await;
    // Whatever is missing after that counts as lost.
    let _ = timeout(options.patience, book.wait_until_answered()).await;
    book.lock().leaving = true;
    sender.close().await;
    if timeout(Duration::from_secs(1), &mut receiving).await.is_err() {
        receiving.abort();
    }
    let state = book.lock();
    let mut tally = state.checker.tally();
    tally.corrupted += state.spoilt;
    Member {
        tally,
        closed_early: state.closed_early,
    }
}

async fn send(
    options: &SwarmOptions,
    number: u64,
    book: &Book,
    sender: &mut Sender,
    mut stop: watch::Receiver<bool>,
) {
    let mut rng = Pcg64Mcg::seed_from_u64(options.seed ^ number << 32);
    loop {
        let pause = options.interval.mul_f64(rng.random_range(0.0..2.0));
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        let (payload, style) = draw(options, &mut rng);
        let id = {
            let mut state = book.lock();
            let id = state.checker.send();
            state.payloads.insert(id, digest(&payload));
            id
        };
        if sender.send(id, &payload, style).await.is_err() {
            return;
        }
        if rng.random_ratio(options.pings_per_mille.min(1000), 1000) && sender.ping().await.is_err() {
            return;
        }
    }
}

fn draw(options: &SwarmOptions, rng: &mut Pcg64Mcg) -> (Vec<u8>, Style) {
    let large = rng.random_ratio(options.large_per_mille.min(1000), 1000);
    let size = if large { 1 << 20 } else { rng.random_range(0..200) };
    let kind: u32 = rng.random_range(0..1000);
    let style = match kind.checked_sub(options.fragmented_per_mille) {
        None => Style::Fragmented(rng.random_range(2..6)),
        Some(kind) if kind < options.binary_per_mille => Style::Binary,
        Some(_) => Style::Text,
    };
    let seed: u8 = rng.random();
    let byte = |i: usize| match style {
        Style::Binary => seed.wrapping_add(i as u8),
        Style::Text | Style::Fragmented(_) => b'a' + (seed.wrapping_add(i as u8)) % 26,
    };
    ((0..size).map(byte).collect(), style)
}

async fn receive(book: Arc<Book>, mut receiver: Receiver) {
    loop {
        let received = receiver.next().await;
        let mut state = book.lock();
        match received {
            Received::Answer(answer, payload) => {
                let spoilt = state.checker.receive(&answer).is_some_and(|id| {
                    let sent = state.payloads.remove(&id);
                    sent.is_some_and(|sent| sent != digest(&payload))
                });
                state.spoilt += u64::from(spoilt);
            }
            Received::Garbage => state.checker.receive_garbage(),
            Received::Closed => {
                state.closed = true;
                state.closed_early = !state.leaving;
            }
            Received::Cut => {
                state.closed = true;
                state.closed_early = true;
            }
        }
        let closed = state.closed;
        drop(state);
        book.answered.notify_waiters();
        if closed {
            return;
        }
    }
}

/// FNV-1a; good enough to notice bytes that were mixed up.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
