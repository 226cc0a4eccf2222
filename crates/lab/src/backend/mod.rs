//! A backend: a WebSocket and HTTP/1.1 service with a fixed number of workers.
//!
//! It stands for the stateful services that Foreshift is for. Every WebSocket message and every `GET /work` is
//! one work item: it queues for a worker, takes its service time, raises its session's counter and is answered.
//! `POST /handoff` gives a session's state away and `POST /resume` takes it in, as the design's section 6 says.
//! `GET /events` is a stream of server-sent events, `GET /stats` tells what was done, `/headers` and `/echo` show
//! what arrived.

mod events;
mod fault;
mod kept;
mod replay;
mod service;
mod session;
mod socket;
mod work;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use foreshift_wire::Epoch;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use fault::{Faults, Spoilable, Spoiler};
use kept::{Kept, Turn};
use service::Service;
use session::{Counter, Sessions};
use work::Workers;

pub use fault::{Fault, Step};
pub(crate) use socket::config as socket_config;

/// What a backend is like.
#[derive(Debug, Clone)]
pub struct BackendOptions {
    /// Its name in answers.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Work items that are worked on at once; more wait.
    pub workers: usize,
    /// Mean of the service time; zero answers at once.
    pub service_time: Duration,
    /// Standard deviation of the service time's logarithm; 0 makes every service time the same.
    pub spread: f64,
    /// Spend the service time on a core rather than wait.
    pub burn: bool,
    /// Of the drawn service times.
    pub seed: u64,
    /// Take over a WebSocket whose session was not resumed here, as a node without hooks does.
    pub stateless: bool,
    /// Speak TLS with these settings, on every connection.
    pub tls: Option<Arc<ServerConfig>>,
    /// Keep sessions' state in the store of Foreshift whose API is there, rather than give it away by hooks.
    pub store: Option<SocketAddr>,
}

impl Default for BackendOptions {
    /// At once, for tests: 64 workers, no service time, on a free port of the loopback.
    fn default() -> Self {
        Self {
            name: "lab".into(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 64,
            service_time: Duration::ZERO,
            spread: 0.5,
            burn: false,
            seed: 1,
            stateless: false,
            tls: None,
            store: None,
        }
    }
}

/// What a backend did and does: the body of `GET /stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendStats {
    /// The backend's name.
    pub node: String,
    /// Work items that wait for a worker.
    pub queued: usize,
    /// Work items that a worker has.
    pub in_service: usize,
    /// Work items done.
    pub handled: u64,
    /// Sessions remembered.
    pub sessions: usize,
    /// Sessions given away.
    pub handed_over: u64,
    /// Sessions taken in.
    pub resumed: u64,
    /// Work items whose number was not the one that was due on their connection.
    pub disorder: u64,
    /// Sessions that came with less in their cart than was put into it.
    pub carts_lost: u64,
}

/// A running backend. Dropping it kills it.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    refused: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Starts a backend on the current Tokio runtime. Fails where its port cannot be bound.
    pub async fn start(options: BackendOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        let BackendOptions {
            name,
            workers,
            service_time,
            spread,
            burn,
            seed,
            stateless,
            tls,
            store,
            ..
        } = options;
        let kept = store.map(|api| Kept::new(api, &name));
        let shared = Arc::new(Shared {
            name,
            workers: Workers::new(workers, service_time, spread, burn, seed),
            sessions: Sessions::default(),
            stateless,
            tls,
            kept,
            faults: Faults::default(),
            death: Notify::new(),
            refusing: watch::Sender::new(false),
        });
        let (closed, refused) = watch::channel(false);
        let task = tokio::spawn(accept(shared.clone(), listener, address, closed));
        Ok(Self {
            address,
            shared,
            refused,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name in answers.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Makes a step fail from now on.
    pub async fn fail(&self, step: Step, fault: Fault) {
        self.shared.faults.set(step, fault);
        if (step, fault) == (Step::Accept, Fault::Refuse) {
            self.refuse(true).await;
        }
    }

    /// Makes every step succeed again. What was spoilt or stalled before stays so.
    pub async fn heal(&self) {
        self.shared.faults.clear();
        self.refuse(false).await;
    }

    /// Closes or opens the port, and returns when that is done.
    async fn refuse(&self, refuse: bool) {
        self.shared
            .refusing
            .send_if_modified(|now| std::mem::replace(now, refuse) != refuse);
        // An error means that the backend is gone, and its port with it.
        let _ = self.refused.clone().wait_for(|refused| *refused == refuse).await;
    }

    /// Ends it at once, as a crash would: connections drop, sessions are gone. Returns when they are.
    pub async fn kill(mut self) {
        self.task.abort();
        // The error says that it was cancelled, which is what was asked for.
        let _ = (&mut self.task).await;
    }

    /// Waits until it ends, by [`Fault::Die`] that is.
    pub async fn died(&mut self) {
        let _ = (&mut self.task).await;
    }

    /// What it did and does.
    pub fn stats(&self) -> BackendStats {
        self.shared.stats()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Shared {
    name: String,
    workers: Workers,
    sessions: Sessions,
    stateless: bool,
    tls: Option<Arc<ServerConfig>>,
    kept: Option<Kept>,
    faults: Faults,
    death: Notify,
    refusing: watch::Sender<bool>,
}

impl Shared {
    fn stats(&self) -> BackendStats {
        let counts = self.sessions.counts();
        BackendStats {
            node: self.name.clone(),
            queued: self.workers.queued(),
            in_service: self.workers.in_service(),
            handled: self.workers.handled(),
            sessions: self.sessions.len(),
            handed_over: counts.handed_over,
            resumed: counts.resumed,
            disorder: counts.disorder,
            carts_lost: counts.carts_lost,
        }
    }

    /// Counts a work item. Where state is kept in a store, the item is stored when this returns, and an error says that it is not.
    async fn count(
        &self,
        session: &str,
        reign: Epoch,
        count: impl FnOnce(&Sessions) -> Counter,
    ) -> anyhow::Result<Counter> {
        let Some(kept) = &self.kept else {
            return Ok(count(&self.sessions));
        };
        let mut turn = kept.turn(session).await;
        self.enter(kept, &mut turn, session, reign).await?;
        let counter = count(&self.sessions);
        kept.save(&mut turn, session, &self.sessions.state(session))
            .await?;
        Ok(counter)
    }

    /// Has a session's state here, where that is kept in a store and another reign begins.
    async fn enter(&self, kept: &Kept, turn: &mut Turn, session: &str, reign: Epoch) -> anyhow::Result<()> {
        if let Some(entered) = kept.enter(turn, session, reign).await? {
            self.sessions.adopt(session, entered.state);
            if entered.cart_is_short {
                self.sessions.miss_cart();
            }
        }
        Ok(())
    }

    /// Ends the whole backend; whoever asks for it never goes on.
    async fn die(&self) -> std::convert::Infallible {
        self.death.notify_one();
        std::future::pending().await
    }
}

/// Accepts until death. The connections' tasks are in a set that ends with it.
async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    closed: watch::Sender<bool>,
) {
    let mut connections = JoinSet::new();
    let mut refusing = shared.refusing.subscribe();
    let mut listener = Some(listener);
    let mut number = 0;
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => if let Ok((stream, _)) = accepted {
                number += 1;
                connections.spawn(connection(shared.clone(), stream, number));
            },
            Ok(()) = refusing.changed() => {
                let refuse = *refusing.borrow_and_update();
                listener = match refuse {
                    true => None,
                    false => TcpListener::bind(address).await.ok(),
                };
                closed.send_replace(refuse);
            }
            Some(_) = connections.join_next() => {}
            () = shared.death.notified() => return,
        }
    }
}

async fn connection(shared: Arc<Shared>, mut stream: TcpStream, number: u64) {
    // Without it answers wait for each other's acknowledgement; slower, not wrong.
    let _ = stream.set_nodelay(true);
    match shared.faults.at(Step::Accept) {
        None | Some(Fault::Refuse) => protect(shared, stream, number).await,
        Some(Fault::Reset) => fault::reset(&stream),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Garbage) => _ = stream.write_all(&[0xFF; 64]).await,
        Some(Fault::Die) => match shared.die().await {},
    }
}

/// Serves a connection, under TLS where that is spoken. What is spoilt then is the ciphertext.
async fn protect(shared: Arc<Shared>, stream: TcpStream, number: u64) {
    let spoiler = Spoiler::default();
    let stream = Spoilable::new(stream, spoiler.clone());
    let Some(tls) = shared.tls.clone() else {
        return serve(shared, stream, spoiler, number).await;
    };
    match TlsAcceptor::from(tls).accept(stream).await {
        Ok(stream) => serve(shared, stream, spoiler, number).await,
        Err(error) => tracing::debug!(%error, "no TLS handshake"),
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    shared: Arc<Shared>,
    stream: S,
    spoiler: Spoiler,
    number: u64,
) {
    let stream = TokioIo::new(stream);
    let (upgrades, mut upgraded) = mpsc::unbounded_channel();
    let service = Service {
        shared: shared.clone(),
        spoiler: spoiler.clone(),
        number,
        upgrades,
    };
    let served = http1::Builder::new()
        .max_buf_size(16 * 1024)
        .serve_connection(stream, service_fn(move |request| service.clone().answer(request)))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
    if let Some((opening, upgrade)) = upgraded.recv().await {
        match upgrade.await {
            Ok(stream) => socket::serve(shared, opening, stream, spoiler).await,
            Err(error) => {
                shared
                    .sessions
                    .close(&opening.session, &opening.connection, opening.number);
                tracing::debug!(%error, "upgrade failed");
            }
        }
    }
}
