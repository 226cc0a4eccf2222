//! The listening sockets: one for each worker and listener, the kernel spreads new connections over them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use foreshift_wire::Config;
use socket2::SockRef;

use crate::{alive, error::Error, marking::Marking, tls::Certificates, worker};

/// A listener's sockets, one for each worker.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<TcpListener>,
}

/// A listener of the configuration as workers are told of it. `index`: its place among the listeners.
pub(crate) fn listener(
    config: &Config,
    index: usize,
    pool_index: impl Fn(&foreshift_wire::PoolName) -> Option<usize>,
    certificates: &Certificates,
) -> Result<worker::Listener, Error> {
    let listener = &config.listener[index];
    let pool = pool_index(&listener.pool).ok_or_else(|| Error::NoPool {
        name: listener.name.clone(),
        pool: listener.pool.to_string(),
    })?;
    Ok(worker::Listener {
        config: Arc::new(listener.clone()),
        pool,
        tls: certificates.listener(&listener.name),
        marking: Arc::new(Marking {
            request_id: listener.request_id.clone(),
            sample: config.ingress.traces.as_ref().map(|traces| traces.sample),
        }),
    })
}

/// A socket that is listened on already: by the process whose place this one takes, or by the service manager.
#[derive(Debug)]
pub struct Inherited {
    /// The listener's name.
    pub name: String,
    /// The address that its listener was configured with; `None` where the name alone tells what it is for.
    pub configured: Option<SocketAddr>,
    /// The socket.
    pub socket: TcpListener,
}

impl Inherited {
    fn is_for(&self, listener: &foreshift_wire::Listener) -> bool {
        let named = self.name == listener.name && self.configured.is_none_or(|c| c == listener.address);
        named
            || self
                .socket
                .local_addr()
                .is_ok_and(|address| address == listener.address)
    }
}

/// A listener's sockets, to be given to another process.
#[derive(Debug)]
pub struct Open {
    /// The listener's name.
    pub name: String,
    /// The address that it was configured with.
    pub configured: SocketAddr,
    /// All its sockets, once more.
    pub sockets: Vec<TcpListener>,
}

/// As [`bind_all`], but with those of `inherited` that are for the listener, where there are any.
pub(crate) fn take_or_bind(
    config: &Config,
    index: usize,
    workers: usize,
    inherited: &mut Vec<Inherited>,
) -> Result<Sockets, Error> {
    let listener = &config.listener[index];
    let mine: Vec<Inherited> = inherited
        .extract_if(.., |socket| socket.is_for(listener))
        .collect();
    if mine.is_empty() {
        return bind_all(config, index, workers);
    }
    let ours = mine.iter().all(|socket| socket.configured.is_some());
    let sockets = mine.into_iter().map(|inherited| inherited.socket).collect();
    fill_up(sockets, workers, ours)
        .map_err(|source| Error::Listen {
            index,
            name: listener.name.clone(),
            address: listener.address,
            source,
        })
        .map(|(address, sockets)| Sockets {
            name: listener.name.clone(),
            address,
            sockets,
        })
}

/// At least one for each worker: sockets of their own on the same port, or else the same ones once more, which all workers
/// then wait on. What a service manager listens on is not joined by sockets of ours: their queues would end with us.
fn fill_up(
    mut sockets: Vec<TcpListener>,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let address = sockets[0].local_addr()?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    let joins = ours && SockRef::from(&sockets[0]).reuse_port()?;
    for n in 0..workers.saturating_sub(sockets.len()) {
        let more = match joins {
            true => bind(address, true)?,
            false => sockets[n].try_clone()?,
        };
        sockets.push(more);
    }
    Ok((address, sockets))
}

/// Listens for the listener at `index`, with a socket for each worker.
pub(crate) fn bind_all(config: &Config, index: usize, workers: usize) -> Result<Sockets, Error> {
    let listener = &config.listener[index];
    let failed = |source| Error::Listen {
        index,
        name: listener.name.clone(),
        address: listener.address,
        source,
    };
    // Without this, SO_REUSEPORT would let a second process of ours share the port in silence.
    drop(bind(listener.address, false).map_err(failed)?);
    let first = bind(listener.address, true).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(address, true).map_err(failed)?);
    }
    Ok(Sockets {
        name: listener.name.clone(),
        address,
        sockets,
    })
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // What is accepted inherits it: a client that vanished would else be kept for ever.
    socket.set_tcp_keepalive(&alive::clients())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
