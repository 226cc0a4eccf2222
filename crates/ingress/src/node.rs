//! A node as one worker sees it: address, idle connections, counters.
//!
//! Nothing here is shared with other workers, so nothing is locked or atomic.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use foreshift_wire::{LatencyBuckets, NodeId, NodeReport, NodeResilience};
use histogram::Histogram;

use crate::{
    connections::micros_since,
    orca::Heard,
    stream::Stream,
    upstream::{Issued, Room, Watch},
};

/// How long a node that refused a connection is avoided, where another one is ready.
const SUSPECT_FOR: Duration = Duration::from_secs(2);
/// Idle connections kept to one node, for each worker.
const IDLE_MAX: usize = 256;
/// An idle connection older than this is not used again: the node may be about to close it.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// A connection to a node that waits for its next request.
struct Idle {
    stream: Stream,
    since: Instant,
}

impl Idle {
    fn is_too_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > IDLE_FOR
    }

    fn is_usable(&self, now: Instant) -> bool {
        let would_block = |e: std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        !self.is_too_old(now) && self.stream.try_read(&mut [0]).is_err_and(would_block)
    }
}

/// A connection to a node that only one client may use, between two of its requests.
#[derive(Default)]
pub(crate) struct Own(RefCell<Option<(Rc<Node>, Idle)>>);

impl Own {
    /// The connection, where it goes to `node` and is still open.
    pub(crate) fn take(&self, node: &Rc<Node>, now: Instant) -> Option<Stream> {
        let (to, idle) = self.0.take()?;
        (Rc::ptr_eq(&to, node) && idle.is_usable(now)).then_some(idle.stream)
    }

    /// Keeps a connection for the client's next request.
    pub(crate) fn put(&self, node: &Rc<Node>, stream: Stream, now: Instant) {
        self.0.replace(Some((node.clone(), Idle { stream, since: now })));
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    idle: RefCell<Vec<Idle>>,
    suspect_until: Cell<Option<Instant>>,
    in_flight: Cell<u32>,
    in_flight_since: Cell<Instant>,
    busy_us: Cell<u64>,
    connections: Cell<u32>,
    requests: Cell<u64>,
    errors: Cell<u64>,
    bytes: Cell<u64>,
    response: RefCell<Histogram>,
    pub(crate) room: Room,
    pub(crate) watch: Watch,
    pub(crate) counts: Counts,
    /// Keys that were made for it, where that matters.
    pub(crate) issued: Issued,
    /// What it said of itself.
    pub(crate) heard: Heard,
}

/// What was done about failures and limits since the last report.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) retries: Cell<u64>,
    pub(crate) overflowed: Cell<u64>,
    pub(crate) queue_full: Cell<u64>,
    pub(crate) waited_in_vain: Cell<u64>,
}

impl Node {
    pub(crate) fn new(id: NodeId, address: SocketAddr, now: Instant) -> Self {
        Self {
            id,
            address,
            idle: RefCell::default(),
            suspect_until: Cell::new(None),
            in_flight: Cell::new(0),
            in_flight_since: Cell::new(now),
            busy_us: Cell::new(0),
            connections: Cell::new(0),
            requests: Cell::new(0),
            errors: Cell::new(0),
            bytes: Cell::new(0),
            response: RefCell::new(new_histogram()),
            room: Room::default(),
            watch: Watch::default(),
            counts: Counts::default(),
            issued: Issued::default(),
            heard: Heard::default(),
        }
    }

    /// An idle connection that is still open, the last used first: its buffers are warm.
    pub(crate) fn take_idle(&self, now: Instant) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        while let Some(last) = idle.pop() {
            if last.is_too_old(now) {
                idle.clear(); // all below are older still
                return None;
            }
            if last.is_usable(now) {
                return Some(last.stream);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put_idle(&self, stream: Stream, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { stream, since: now });
        }
    }

    /// Closes idle connections.
    pub(crate) fn forget_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Closes idle connections that are too old.
    pub(crate) fn sweep_idle(&self, now: Instant) {
        self.idle.borrow_mut().retain(|i| !i.is_too_old(now));
    }

    /// Notes that a connection to it failed.
    pub(crate) fn suspect(&self, now: Instant) {
        self.suspect_until.set(Some(now + SUSPECT_FOR));
        self.idle.borrow_mut().clear();
    }

    /// Takes what the pool knows of its failures.
    pub(crate) fn judged(&self, run: Option<Arc<AtomicU32>>, ejected: bool) {
        self.watch.judged(run, ejected);
    }

    /// Whether new requests should rather go elsewhere: it fails, or a connection to it failed just now.
    #[inline]
    pub(crate) fn is_avoided(&self, now: Instant) -> bool {
        self.watch.is_ejected() || self.is_suspect(now)
    }

    /// Whether a connection to it failed just now.
    pub(crate) fn is_suspect(&self, now: Instant) -> bool {
        match self.suspect_until.get() {
            Some(until) if now < until => true,
            Some(_) => {
                self.suspect_until.set(None);
                false
            }
            None => false,
        }
    }

    fn settle_busy(&self, now: Instant) {
        let since = self.in_flight_since.replace(now);
        let busy = u64::from(self.in_flight.get()) * micros_since(since, now);
        self.busy_us.set(self.busy_us.get() + busy);
    }

    /// A request goes to it.
    #[inline]
    pub(crate) fn begin(&self, now: Instant) {
        self.settle_busy(now);
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// A request was answered, `took_us` after it was sent.
    #[inline]
    pub(crate) fn end(&self, now: Instant, took_us: u64, failed: bool, bytes: u64) {
        self.settle_busy(now);
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.requests.set(self.requests.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        self.watch.ended(failed);
        if failed {
            self.errors.set(self.errors.get() + 1);
        }
        let _ = self.response.borrow_mut().increment(took_us.min(1 << 35));
    }

    /// A request turned out not to have been sent.
    pub(crate) fn cancel(&self, now: Instant) {
        self.settle_busy(now);
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// Messages and bytes of a stream passed.
    #[inline]
    pub(crate) fn pass(&self, messages: u64, bytes: u64) {
        self.requests.set(self.requests.get() + messages);
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// A connection, a request or a hand-over failed by its fault.
    pub(crate) fn fail(&self) {
        self.watch.ended(true);
        self.errors.set(self.errors.get() + 1);
    }

    /// A client connection is served by it from now on.
    pub(crate) fn attach(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    /// Client connections that it serves.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.get()
    }

    /// A client connection is not served by it any more.
    pub(crate) fn detach(&self) {
        self.connections.set(self.connections.get().saturating_sub(1));
    }

    /// What was counted since the last call.
    pub(crate) fn take_report(&self, now: Instant) -> NodeReport {
        self.settle_busy(now);
        let response = if self.requests.get() == 0 {
            LatencyBuckets::default()
        } else {
            sparse(&std::mem::replace(
                &mut *self.response.borrow_mut(),
                new_histogram(),
            ))
        };
        NodeReport {
            node: self.id.clone(),
            requests: self.requests.take(),
            errors: self.errors.take(),
            bytes: self.bytes.take(),
            busy_us: self.busy_us.take(),
            in_flight: self.in_flight.get(),
            connections: self.connections.get(),
            response,
            resilience: NodeResilience {
                retries: self.counts.retries.take(),
                overflowed: self.counts.overflowed.take(),
                queue_full: self.counts.queue_full.take(),
                waited_in_vain: self.counts.waited_in_vain.take(),
                pending: self.room.waiting(),
                answered: self.watch.answered.take(),
                failed: self.watch.failed.take(),
                failed_in_a_row: self.watch.in_a_row.take(),
            },
            in_band: self.heard.report(now),
        }
    }
}

fn new_histogram() -> Histogram {
    Histogram::new(LatencyBuckets::GROUPING_POWER, LatencyBuckets::MAX_VALUE_POWER)
        .expect("the powers are constants that the histogram takes")
}

fn sparse(histogram: &Histogram) -> LatencyBuckets {
    let counts = histogram.as_slice().iter().enumerate();
    LatencyBuckets(
        counts
            .filter(|(_, c)| **c > 0)
            .map(|(i, c)| (i as u32, *c))
            .collect(),
    )
}
