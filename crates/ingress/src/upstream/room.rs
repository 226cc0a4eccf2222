//! What one worker uses of a node, and the limits that it shares with the others, where there are any.
//!
//! Requests hold a [`Ticket`]; streams are counted from their beginning to their end. Both are counted always, which
//! costs a `Cell` each, so that limits which come while connections are open know of them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::limits::Limits;
use crate::node::Node;

/// One worker's use of one node.
#[derive(Debug, Default)]
pub(crate) struct Room {
    limits: RefCell<Option<Arc<Limits>>>,
    /// `limits` is there; the common path looks no further.
    limited: Cell<bool>,
    tickets: Cell<u32>,
    streams: Cell<u32>,
    waiting: Cell<u32>,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many wait already as may.
    Queue,
    /// It waited in vain.
    Wait,
}

impl Room {
    /// Takes new limits; what is open counts towards them.
    pub(crate) fn set(&self, limits: Option<Arc<Limits>>) {
        let same = match (&*self.limits.borrow(), &limits) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(new) = &limits {
            (0..self.tickets.get()).for_each(|_| {
                new.connections.force();
                new.requests.force();
            });
            (0..self.streams.get()).for_each(|_| new.connections.force());
        }
        if let Some(old) = self.limits.replace(limits) {
            // The other workers may still hold it for a moment.
            (0..self.tickets.get()).for_each(|_| {
                old.requests.give_back();
                old.connections.give_back();
            });
            (0..self.streams.get()).for_each(|_| old.connections.give_back());
        }
        self.limited.set(self.limits.borrow().is_some());
    }

    fn limits(&self) -> Option<Arc<Limits>> {
        self.limited.get().then(|| self.limits.borrow().clone()).flatten()
    }

    fn with(&self, tell: impl FnOnce(&Limits)) {
        if self.limited.get()
            && let Some(limits) = &*self.limits.borrow()
        {
            tell(limits);
        }
    }

    /// Whether a request would be let in now.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        let mut free = true;
        self.with(|limits| free = limits.has_room());
        free
    }

    /// Requests of this worker that wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// A stream begins. It belongs to a request that was let in, or comes from another node: it is not turned away.
    pub(crate) fn open_stream(&self) {
        self.with(|limits| limits.connections.force());
        self.streams.set(self.streams.get() + 1);
    }

    /// A stream ended, or went to another node.
    pub(crate) fn close_stream(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        self.with(|limits| limits.connections.give_back());
    }

    /// Counts another try towards the node's limit; false where too many are under way.
    pub(super) fn retry(&self) -> Option<Retrying> {
        match self.limits() {
            None => Some(Retrying(None)),
            Some(limits) => limits.retry().then_some(Retrying(Some(limits))),
        }
    }

    fn leave(&self) {
        self.tickets.set(self.tickets.get().saturating_sub(1));
        self.with(|limits| {
            limits.requests.give_back();
            limits.connections.give_back();
        });
    }

    /// Waits for its turn. Both slots are taken in the same order by all, so nobody waits in a circle.
    async fn wait(&self) -> Result<(), Full> {
        let Some(limits) = self.limits() else {
            return Ok(());
        };
        let (_place, patience) = limits.queue().ok_or(Full::Queue)?;
        let _waiting = Waiting::begin(&self.waiting);
        let until = Instant::now() + patience;
        let taken = async {
            limits.connections.take().await;
            let connection = GiveBack(&limits);
            limits.requests.take().await;
            std::mem::forget(connection);
        };
        tokio::time::timeout_at(until.into(), taken)
            .await
            .map_err(|_| Full::Wait)?;
        // Other limits came meanwhile: those count it, and these must not.
        let current = self.limits();
        if !current.as_ref().is_some_and(|now| Arc::ptr_eq(now, &limits)) {
            limits.requests.give_back();
            limits.connections.give_back();
            self.with(|now| {
                now.connections.force();
                now.requests.force();
            });
        }
        Ok(())
    }
}

struct GiveBack<'a>(&'a Limits);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.0.connections.give_back();
    }
}

struct Waiting<'a>(&'a Cell<u32>);

impl<'a> Waiting<'a> {
    fn begin(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// A try beyond the first, under way.
#[derive(Debug)]
pub(super) struct Retrying(Option<Arc<Limits>>);

impl Drop for Retrying {
    fn drop(&mut self) {
        if let Some(limits) = &self.0 {
            limits.retried();
        }
    }
}

/// A stream that stays with its node to its end.
pub(crate) struct Streaming(Rc<Node>);

impl Streaming {
    pub(super) fn begin(node: Rc<Node>) -> Self {
        node.room.open_stream();
        Self(node)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.room.close_stream();
    }
}

/// Leave to ask a node for something; given back when dropped.
pub(crate) struct Ticket(Rc<Node>);

impl Ticket {
    /// Where there is room now.
    #[inline]
    pub(super) fn take(node: &Rc<Node>) -> Option<Self> {
        let mut taken = true;
        node.room.with(|limits| taken = limits.try_take());
        taken.then(|| Self::counted(node))
    }

    /// Once there is room.
    pub(super) async fn wait(node: &Rc<Node>) -> Result<Self, Full> {
        node.room.wait().await?;
        Ok(Self::counted(node))
    }

    fn counted(node: &Rc<Node>) -> Self {
        node.room.tickets.set(node.room.tickets.get() + 1);
        Self(node.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.room.leave();
    }
}
