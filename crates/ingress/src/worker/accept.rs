//! Takes in new client connections, within the limits.

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use foreshift_wire::Protocol;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::{Listener, Worker, introduce::introduce};
use crate::{
    http1::{self, Reject},
    io::Deadline,
    live::Live,
    stream::Stream,
    tcp,
    tls::{self, ListenerTls},
};

/// How long the accept loop waits where the system is out of file descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Where one listener's connections come in, until it is closed.
pub(super) struct Door {
    listener: Live<Listener>,
    is_closed: Cell<bool>,
    closed: Notify,
}

impl Door {
    fn close(&self) {
        self.is_closed.set(true);
        self.closed.notify_waiters();
    }

    async fn until_closed(&self) {
        let closed = self.closed.notified();
        if !self.is_closed.get() {
            closed.await;
        }
    }
}

/// Opens a door, or has one that is open take in connections as a changed listener says.
pub(super) fn listen(worker: &Rc<Worker>, sockets: Vec<std::net::TcpListener>, listener: Listener) {
    let name = listener.config.name.clone();
    if sockets.is_empty() {
        if let Some(door) = worker.listeners.borrow().get(&name) {
            door.listener.set(listener);
        }
        return;
    }
    let door = Rc::new(Door {
        listener: Live::new(listener),
        is_closed: Cell::new(false),
        closed: Notify::new(),
    });
    for socket in sockets {
        match TcpListener::from_std(socket) {
            Ok(socket) => drop(tokio::task::spawn_local(run(
                worker.clone(),
                door.clone(),
                socket,
            ))),
            Err(error) => tracing::error!(listener = %name, %error, "a worker cannot listen"),
        }
    }
    if let Some(former) = worker.listeners.borrow_mut().insert(name, door) {
        former.close();
    }
}

/// Closes a door; who came in stays.
pub(super) fn unlisten(worker: &Worker, name: &str) {
    if let Some(door) = worker.listeners.borrow_mut().remove(name) {
        door.close();
    }
}

async fn run(worker: Rc<Worker>, door: Rc<Door>, socket: TcpListener) {
    let mut complained = false;
    loop {
        worker.until_routed(door.listener.get().pool).await;
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = worker.until_drained() => break,
            () = door.until_closed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                complained = false;
                take_in(&worker, &door.listener.get(), stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // A full descriptor table would make this loop spin; others go on being served meanwhile.
                if !std::mem::replace(&mut complained, true) {
                    tracing::error!(%error, "cannot accept connections; raise the limit of open files (ulimit -n)");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    // Who is in the kernel's queue was let in by it; closing the socket would reset them.
    while let Some((stream, peer)) = queued(&socket).await {
        take_in(&worker, &door.listener.get(), stream, peer);
    }
}

/// The next connection that waits already.
async fn queued(socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|cx| match socket.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn take_in(worker: &Rc<Worker>, listener: &Rc<Listener>, stream: TcpStream, peer: SocketAddr) {
    let mut place = Place::take(worker);
    let Some(version) = listener.config.proxy_protocol else {
        return admit(worker, listener, stream, peer, place);
    };
    // Until it is known who it is from, it counts among all.
    if place.is_none() {
        return;
    }
    let (worker, listener) = (worker.clone(), listener.clone());
    tokio::task::spawn_local(async move {
        if let Some((client, named)) = introduce(&worker, &listener, &stream, peer, version).await {
            if let Some(place) = &mut place {
                place.local = named;
            }
            admit(&worker, &listener, stream, client, place);
        }
    });
}

/// Serves a client, where it is within the limits. `peer`: the client's address, whoever connected for it.
fn admit(
    worker: &Rc<Worker>,
    listener: &Rc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Option<Place>,
) {
    let Some(mut place) = place.and_then(|place| place.of(peer.ip())) else {
        if listener.tls.is_none() && listener.config.protocol == Protocol::Http {
            // Best effort: the socket's buffer is empty, so this fits or the client is gone.
            let _ = stream.try_write(&Reject::FULL.response(false, true));
        }
        return;
    };
    let _ = stream.set_nodelay(true);
    if !worker.pools[listener.pool].shares_connections() && place.local.is_none() {
        place.local = stream.local_addr().ok();
    }
    let (worker, listener) = (worker.clone(), listener.clone());
    match listener.tls.clone() {
        None => serve(worker, listener, stream.into(), peer, place),
        Some(tls) => drop(tokio::task::spawn_local(serve_tls(
            worker, listener, tls, stream, peer, place,
        ))),
    }
}

fn serve(worker: Rc<Worker>, listener: Rc<Listener>, stream: Stream, peer: SocketAddr, place: Place) {
    match listener.config.protocol {
        Protocol::Http => {
            tokio::task::spawn_local(http1::serve(worker, listener, stream, peer, place));
        }
        Protocol::Tcp => {
            tokio::task::spawn_local(tcp::serve(worker, listener, stream, peer, place));
        }
    }
}

async fn serve_tls(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    tls: Arc<ListenerTls>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    let mut deadline = Deadline::default();
    deadline.after(worker.limits().header_timeout.get());
    match tls::accept(socket, tls.settings(), &mut deadline).await {
        // Another task, so that none keeps the memory that the handshake needs.
        Ok(stream) => serve(worker, listener, stream, peer, place),
        Err(error) => {
            worker.pools[listener.pool].refusals.count();
            tracing::debug!(%peer, listener = listener.config.name, %error, "no TLS handshake");
        }
    }
}

/// A connection's place within the limits; given back when dropped.
pub(crate) struct Place {
    worker: Rc<Worker>,
    /// Known a moment later than the connection.
    source: Option<IpAddr>,
    local: Option<SocketAddr>,
}

impl Place {
    /// For a told client's new connection, from an address that may be another one.
    pub(crate) fn again(worker: &Rc<Worker>, source: IpAddr) -> Option<Self> {
        Self::take(worker)?.of(source)
    }

    /// Among all connections.
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let shared = &worker.shared;
        if shared.open.fetch_add(1, Ordering::Relaxed) >= worker.limits().connections as usize {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self {
            worker: worker.clone(),
            source: None,
            local: None,
        })
    }

    /// Among those of one source too. Given back where there are too many.
    fn of(mut self, source: IpAddr) -> Option<Self> {
        let limit = self.worker.limits().connections_per_source;
        let within = {
            let shared = &self.worker.shared;
            let mut sources = shared.per_source.lock().unwrap_or_else(PoisonError::into_inner);
            let open = sources.entry(source).or_default();
            *open += 1;
            *open <= limit
        };
        self.source = Some(source);
        within.then_some(self)
    }

    /// The address that the client connected to, where nodes are told it.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let shared = &self.worker.shared;
        shared.open.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        let mut sources = shared.per_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sources.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                sources.remove(&source);
            }
        }
    }
}
