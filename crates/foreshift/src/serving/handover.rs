//! A new process takes the place of the one that runs, without a moment in which nobody listens.
//!
//! The running process listens on a socket of its own (`ingress.handover_socket`). Who starts with `--take-over` asks there,
//! and gets the listening sockets, the API's included. The old one has stopped its loops and closed the metadata by then, as
//! only one process can hold them; its data plane goes on by its last routes. Once the new one serves, the old one takes in
//! nobody any more and lets those that it has finish.
//!
//!     new                               old
//!     Ask            ────────────────►  ends its loops, closes the metadata
//!                    ◄────────────────  Offer, and the sockets
//!     opens the metadata, serves
//!     Ready          ────────────────►
//!                    ◄────────────────  Leaving      (or Abort: it waited too long)
//!
//! Where the new one ends before `Ready`, the old one opens the metadata again and goes on as before. Where the old one dies,
//! the new one goes on with what it has: with the sockets, or without.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use foreshift_ingress::Inherited;
use foreshift_wire::Config;
use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::mpsc, task::AbortHandle};

use super::fds::{receive, receive_sockets, send, send_sockets};
use super::store::Sockets;

/// What is said between the two; a process that says something else is another version, and is left alone.
const VERSION: u32 = 1;
/// Time for the other side to answer where it has nothing to do first.
const ANSWER: Duration = Duration::from_secs(10);
/// Time for the old process to end its loops and close the metadata.
const OFFER: Duration = Duration::from_secs(30);
/// Time for the new process to start: it reads and verifies all metadata, and models.
const START: Duration = Duration::from_secs(120);

/// Pause after somebody who was sent away.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Serialize, Deserialize)]
struct Ask {
    foreshift_handover: u32,
    pid: u32,
}

/// What the old process gives. The sockets follow, in this order: the listeners', the API's, those of sessions' state.
#[derive(Serialize, Deserialize)]
struct Offer {
    listeners: Vec<OfferedListener>,
    /// Which sockets of sessions' state follow; a process from before there were any says nothing of them.
    #[serde(default)]
    state: Vec<StateSocket>,
    first_id: u64,
    pid: u32,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateSocket {
    Address,
    RedisView,
}

impl Sockets {
    fn named(&self) -> impl Iterator<Item = (StateSocket, &TcpListener)> {
        let address = self.address.iter().map(|socket| (StateSocket::Address, socket));
        let view = self.redis_view.iter();
        address.chain(view.map(|socket| (StateSocket::RedisView, socket)))
    }

    fn put(&mut self, name: StateSocket, socket: TcpListener) {
        match name {
            StateSocket::Address => self.address = Some(socket),
            StateSocket::RedisView => self.redis_view = Some(socket),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct OfferedListener {
    name: String,
    configured: SocketAddr,
    sockets: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Ready,
    Leaving,
    Abort,
}

/// Where the process that runs with this configuration can be asked.
pub(super) fn place(config: &Config) -> PathBuf {
    config.ingress.handover_socket.clone().unwrap_or_else(|| {
        let mut path = config.meta.path.clone().into_os_string();
        path.push(".handover");
        path.into()
    })
}

/// What a new process was given.
pub(super) struct Taken {
    stream: UnixStream,
    listeners: Vec<Inherited>,
    api: TcpListener,
    state: Sockets,
    first_id: u64,
    pub(super) from: u32,
}

/// Asks the process that runs for its place. `None` where there is none; it may also have died while it was asked.
pub(super) fn take(place: &Path) -> io::Result<Option<Taken>> {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    let stream = match UnixStream::connect(place) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error),
    };
    match ask(stream) {
        Ok(taken) => Ok(Some(taken)),
        Err(error) if matches!(error.kind(), UnexpectedEof | ConnectionReset) => Ok(None),
        Err(error) => Err(error),
    }
}

fn ask(stream: UnixStream) -> io::Result<Taken> {
    stream.set_write_timeout(Some(ANSWER))?;
    stream.set_read_timeout(Some(OFFER))?;
    let ask = Ask {
        foreshift_handover: VERSION,
        pid: std::process::id(),
    };
    send(&stream, &ask)?;
    let offer: Offer = receive(&stream)?;
    let all = offer
        .listeners
        .iter()
        .map(|listener| listener.sockets)
        .sum::<usize>()
        + 1
        + offer.state.len();
    let mut sockets = receive_sockets(&stream, all)?.into_iter();
    let mut listeners = Vec::new();
    for listener in offer.listeners {
        for socket in sockets.by_ref().take(listener.sockets) {
            listeners.push(Inherited {
                name: listener.name.clone(),
                configured: Some(listener.configured),
                socket,
            });
        }
    }
    let api = sockets
        .next()
        .ok_or_else(|| io::Error::other("the API's socket did not come"))?;
    let mut state = Sockets::default();
    for (name, socket) in offer.state.into_iter().zip(sockets) {
        state.put(name, socket);
    }
    Ok(Taken {
        stream,
        listeners,
        api,
        state,
        first_id: offer.first_id,
        from: offer.pid,
    })
}

/// The process whose place is taken, until it has heard that it is.
pub(super) struct Old(UnixStream);

impl Taken {
    /// The listeners' sockets, the API's, those of sessions' state, the first number for connections, and whom to tell once
    /// they are served.
    pub(super) fn split(self) -> (Vec<Inherited>, Option<TcpListener>, Sockets, u64, Old) {
        let old = Old(self.stream);
        (self.listeners, Some(self.api), self.state, self.first_id, old)
    }
}

impl Old {
    /// Tells the old process that this one serves. False where the old one has given up waiting: it serves on, so this
    /// one must end.
    pub(super) fn ready(self) -> bool {
        let told = send(&self.0, &Said::Ready)
            .and_then(|()| self.0.set_read_timeout(Some(ANSWER)))
            .and_then(|()| receive(&self.0));
        // An error: it has died meanwhile, and this one is all that there is.
        !matches!(told, Ok(Said::Abort))
    }
}

/// Where new processes ask. Closed when dropped; its file stays, as another process may have its own there by then.
pub(super) struct Door {
    asked: mpsc::Receiver<Asked>,
    task: AbortHandle,
}

impl Door {
    /// Listens at `place`, in place of whoever did before; only for this user.
    pub(super) fn open(place: &Path) -> io::Result<Self> {
        let mut new = place.as_os_str().to_owned();
        new.push(format!(".new-{}", std::process::id()));
        let new = PathBuf::from(new);
        let _ = std::fs::remove_file(&new);
        let opened = UnixListener::bind(&new).and_then(|listener| {
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&new, place)?;
            let (sender, asked) = mpsc::channel(1);
            let task = tokio::spawn(let_in(listener, sender)).abort_handle();
            Ok(Self { asked, task })
        });
        if opened.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        opened
    }

    /// The next process that asks.
    pub(super) async fn asked(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn let_in(listener: UnixListener, asked: mpsc::Sender<Asked>) {
    loop {
        match next(&listener).await {
            Ok(process) => {
                if asked.send(process).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "somebody asked to take over, and was sent away");
                // Also where no file can be opened: a loop must not spin on that.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The next process of the same user that asks.
async fn next(listener: &UnixListener) -> io::Result<Asked> {
    let (stream, _) = listener.accept().await?;
    let uid = stream.peer_cred()?.uid();
    if uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("it is of another user, {uid}")));
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.set_read_timeout(Some(ANSWER))?;
    let asked = tokio::task::spawn_blocking(move || {
        let ask: Ask = receive(&stream)?;
        match ask.foreshift_handover {
            VERSION => Ok(Asked { stream, pid: ask.pid }),
            other => Err(io::Error::other(format!(
                "it speaks version {other}, not {VERSION}"
            ))),
        }
    });
    asked.await.map_err(io::Error::other)?
}

/// A process that wants to take over.
pub(super) struct Asked {
    stream: UnixStream,
    pub(super) pid: u32,
}

/// What is given away.
pub(super) struct Given {
    pub(super) listeners: Vec<foreshift_ingress::Open>,
    pub(super) api: TcpListener,
    pub(super) state: Sockets,
    pub(super) first_id: u64,
}

impl Asked {
    /// Gives the sockets and waits until the new process serves. `serves` is called before it is told to go on alone. False
    /// where it does not come to that: it ended, or took too long.
    pub(super) async fn give(self, given: Given, serves: impl FnOnce() + Send + 'static) -> bool {
        let done = tokio::task::spawn_blocking(move || match self.give_and_wait(&given, serves) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, pid = self.pid, "the new process did not take over");
                let _ = send(&self.stream, &Said::Abort);
                false
            }
        });
        done.await.unwrap_or(false)
    }

    fn give_and_wait(&self, given: &Given, serves: impl FnOnce()) -> io::Result<()> {
        let listeners = given.listeners.iter().map(|listener| OfferedListener {
            name: listener.name.clone(),
            configured: listener.configured,
            sockets: listener.sockets.len(),
        });
        let offer = Offer {
            listeners: listeners.collect(),
            state: given.state.named().map(|(name, _)| name).collect(),
            first_id: given.first_id,
            pid: std::process::id(),
        };
        send(&self.stream, &offer)?;
        let sockets = given.listeners.iter().flat_map(|listener| &listener.sockets);
        let state = given.state.named().map(|(_, socket)| socket);
        let sockets: Vec<&TcpListener> = sockets.chain([&given.api]).chain(state).collect();
        send_sockets(&self.stream, &sockets)?;
        self.stream.set_read_timeout(Some(START))?;
        match receive(&self.stream)? {
            Said::Ready => {
                serves();
                send(&self.stream, &Said::Leaving)
            }
            Said::Leaving | Said::Abort => Err(io::Error::other("it said something out of turn")),
        }
    }
}
