//! Who a new connection comes from, where a load balancer in front says so.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use foreshift_wire::ProxyVersion;
use tokio::net::TcpStream;

use super::{Listener, Worker};
use crate::proxy_protocol::{Header, Refused, receive};

/// Refused connections are logged at most so often: whoever may connect must not be able to fill the log.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// Connections of one pool that were refused before a request.
#[derive(Default)]
pub(crate) struct Refusals {
    count: Cell<u64>,
    said: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Refusals {
    /// How many since the last call.
    pub(super) fn take(&self) -> u64 {
        self.count.take()
    }

    /// One more, for another reason than its header.
    pub(super) fn count(&self) {
        self.count.set(self.count.get() + 1);
    }

    fn note(&self, listener: &str, peer: SocketAddr, why: &Refused, now: Instant) {
        if let Refused::Ended(error) = why {
            // A check that the port is open looks like this.
            return tracing::debug!(listener, %peer, %error, "a connection ended before its header");
        }
        self.count.set(self.count.get() + 1);
        if self.said.get().is_some_and(|said| now < said + SAID_EVERY) {
            return self.unsaid.set(self.unsaid.get() + 1);
        }
        self.said.set(Some(now));
        let others = self.unsaid.take();
        tracing::warn!(listener, %peer, %why, others, "refused a connection by its PROXY protocol header");
    }
}

/// A connection's addresses: the client's, and, where nodes are to be told, that which it connected to. `None`: it is to be closed.
pub(super) async fn introduce(
    worker: &Worker,
    listener: &Listener,
    stream: &TcpStream,
    peer: SocketAddr,
    version: ProxyVersion,
) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let received = match listener.config.trusts(peer.ip()) {
        true => receive(stream, version, worker.limits().header_timeout.get()).await,
        false => Err(Refused::Untrusted(peer.ip().to_canonical())),
    };
    match received {
        Ok(Header::Client { source, destination }) => Some((source, Some(destination))),
        Ok(Header::Own) => Some((peer, None)),
        Err(why) => {
            let refusals = &worker.pools[listener.pool].refusals;
            refusals.note(&listener.config.name, peer, &why, Instant::now());
            None
        }
    }
}
