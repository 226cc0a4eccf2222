//! What a node may be asked for at once, over all workers.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use foreshift_wire::Circuit;

use super::slots::Slots;

/// The limits of one node, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Connections in use.
    pub(crate) connections: Option<u32>,
    /// Requests under way.
    pub(crate) requests: Option<u32>,
    /// Further tries under way.
    pub(crate) retries: Option<u32>,
    /// Requests that wait.
    pub(crate) pending: u32,
    /// For how long they wait.
    pub(crate) patience: Duration,
}

impl Bounds {
    /// The pool's limits with the node's own; `None` where there are none.
    pub(crate) fn of(circuit: Option<&Circuit>, maxconn: Option<u32>) -> Option<Self> {
        let defaults = Circuit::default();
        let circuit = circuit.unwrap_or(&defaults);
        let bounds = Self {
            connections: maxconn.or(circuit.connections),
            requests: circuit.requests,
            retries: circuit.retries,
            pending: circuit.pending,
            patience: circuit.pending_timeout.get(),
        };
        let limits = [bounds.connections, bounds.requests, bounds.retries];
        limits.iter().any(Option::is_some).then_some(bounds)
    }
}

/// The limits of one node, in use by all workers.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(super) connections: Slots,
    pub(super) requests: Slots,
    waiting: AtomicU32,
    retrying: AtomicU32,
    bounds: Mutex<Bounds>,
}

impl Limits {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            connections: Slots::new(bounds.connections),
            requests: Slots::new(bounds.requests),
            waiting: AtomicU32::new(0),
            retrying: AtomicU32::new(0),
            bounds: Mutex::new(bounds),
        }
    }

    /// Changes the limits; only the mover does.
    pub(crate) fn set(&self, bounds: Bounds) {
        let mut current = self.lock();
        if current.connections != bounds.connections {
            self.connections.set_limit(bounds.connections);
        }
        if current.requests != bounds.requests {
            self.requests.set_limit(bounds.requests);
        }
        *current = bounds;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bounds> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes both slots of a request where both are free.
    pub(super) fn try_take(&self) -> bool {
        if !self.connections.try_take() {
            return false;
        }
        let taken = self.requests.try_take();
        if !taken {
            self.connections.give_back();
        }
        taken
    }

    /// Whether a request would be let in now.
    pub(super) fn has_room(&self) -> bool {
        self.connections.has_room() && self.requests.has_room()
    }

    /// A place in the queue, and how long one waits in it; `None` where the queue is full. Only asked where there is no
    /// room, so the lock is nobody's way.
    pub(super) fn queue(&self) -> Option<(Counted<'_>, Duration)> {
        let bounds = *self.lock();
        Some((Counted::below(&self.waiting, bounds.pending)?, bounds.patience))
    }

    /// Counts another try; `None` where too many are under way.
    pub(super) fn retry(&self) -> bool {
        let max = self.lock().retries.unwrap_or(u32::MAX);
        raise(&self.retrying, max)
    }

    /// Another try ended.
    pub(super) fn retried(&self) {
        self.retrying.fetch_sub(1, Relaxed);
    }
}

fn raise(count: &AtomicU32, max: u32) -> bool {
    let more = |count: u32| (count < max).then(|| count + 1);
    count.fetch_update(Relaxed, Relaxed, more).is_ok()
}

/// One of a bounded number; given back when dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn below(count: &'a AtomicU32, max: u32) -> Option<Self> {
        // Lazily: one that is made is given back.
        raise(count, max).then(|| Self(count))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_own_limit_goes_before_the_pools() {
        let circuit = Circuit {
            connections: Some(10),
            ..Circuit::default()
        };
        let none = Circuit::default();
        for (circuit, node, connections) in [
            (None, None, None),
            (Some(&none), None, None),
            (Some(&circuit), None, Some(10)),
            (Some(&circuit), Some(3), Some(3)),
            (None, Some(3), Some(3)),
        ] {
            let bounds = Bounds::of(circuit, node);
            assert_eq!(
                bounds.and_then(|b| b.connections),
                connections,
                "{circuit:?} {node:?}"
            );
        }
    }

    #[test]
    fn a_request_takes_both_slots_or_none() {
        let circuit = Circuit {
            connections: Some(2),
            requests: Some(1),
            ..Circuit::default()
        };
        let limits = Limits::new(Bounds::of(Some(&circuit), None).unwrap());
        assert!(limits.try_take());
        assert!(!limits.try_take());
        limits.requests.give_back();
        assert!(limits.try_take());
        limits.requests.give_back();
        assert!(!limits.try_take(), "both connections are in use");
    }

    #[test]
    fn the_queue_and_the_further_tries_are_bounded() {
        let circuit = Circuit {
            connections: Some(1),
            pending: 1,
            retries: Some(1),
            ..Circuit::default()
        };
        let limits = Limits::new(Bounds::of(Some(&circuit), None).unwrap());
        let first = limits.queue();
        assert!(first.is_some() && limits.queue().is_none());
        drop(first);
        assert!(limits.queue().is_some());
        assert!(limits.retry() && !limits.retry());
        limits.retried();
        assert!(limits.retry());
    }
}
