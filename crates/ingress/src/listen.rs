//! The listening sockets: one for each worker and listener, the kernel spreads new connections over them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use foreshift_wire::Config;

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
