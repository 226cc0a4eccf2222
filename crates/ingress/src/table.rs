//! The routes of a pool as one worker reads them, and the gate that holds sessions back while they move.
//!
//! Without moves, a lookup is one index into the bucket table. While moves are under way, a session in
//! transit is found in a small map first: its requests go to the old node until the hand-over pauses them, then
//! wait for its end.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use foreshift_placement::{AffinityMap, NodeIndex};
use foreshift_wire::{NodeId, NodeState, SessionId};
use std::collections::{HashMap, HashSet};
use tokio::sync::oneshot;

use crate::{message::Ended, node::Node, upstream::Limits};

/// The routes of a pool, made by the mover and shared by all workers.
pub(crate) struct Snapshot {
    pub(crate) map: AffinityMap,
    /// By the map's index.
    pub(crate) addresses: Vec<SocketAddr>,
    /// By the map's index: what each may be asked for at once.
    pub(crate) limits: Vec<Option<Arc<Limits>>>,
    /// By the map's index: who is left out because it fails.
    pub(crate) ejected: Vec<bool>,
    /// By the map's index: who is in the zone of this ingress.
    pub(crate) own_zone: Vec<bool>,
    /// By the map's index: gateway errors in a row, where they are counted.
    pub(crate) runs: Vec<Option<Arc<AtomicU32>>>,
    /// Sessions stay with a node that is left out.
    pub(crate) keeps_sessions: bool,
    /// Sessions' kept state has to follow them.
    pub(crate) carries: bool,
    /// Who still has to be handed over before the next request.
    pub(crate) lazy: Arc<Lazy>,
}

impl Snapshot {
    fn home(&self, session: SessionId) -> Option<&NodeId> {
        let index = self.map.lookup(session)?;
        Some(&self.map.nodes()[usize::from(index.0)].id)
    }
}

/// Sessions whose state may still be on another node than the map says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lazy {
    pub(crate) sessions: HashSet<SessionId>,
    /// Buckets that changed owner; sessions with an override are not meant.
    pub(crate) buckets: HashSet<u16>,
}

impl Lazy {
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.buckets.is_empty()
    }
}

/// Sessions that were handed over although a [`Lazy`] still lists them; more are simply asked for again.
const SETTLED_MAX: usize = 100_000;

enum Stage {
    /// Clients are told to move by themselves: everything still goes to the old node.
    Told,
    /// The hand-over was asked for.
    Asked,
    /// Requests go to the old node, new streams wait.
    Begun,
    /// Requests wait too; tell when none is under way.
    Held,
    /// The hand-over failed: everything stays.
    Stays,
}

struct Transit {
    from: Option<Rc<Node>>,
    stage: Stage,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Where a request goes.
pub(crate) enum Route {
    To(Rc<Node>),
    /// The session's own node, the second, does not answer.
    Instead(Rc<Node>, Rc<Node>),
    /// Ask again when this is answered. True: the mover has to be asked to hand the session over first.
    Wait(oneshot::Receiver<()>, bool),
    Nowhere,
}

/// One pool's routes in one worker.
pub(crate) struct Table {
    snapshot: RefCell<Option<Arc<Snapshot>>>,
    nodes: RefCell<Rc<[Rc<Node>]>>,
    transits: RefCell<HashMap<SessionId, Transit>>,
    settled: RefCell<HashSet<SessionId>>,
    /// Nothing is in transit and nothing lazy: the common case.
    calm: Cell<bool>,
    /// Some node is left out because it fails.
    any_ejected: Cell<bool>,
    /// Sessions' kept state has to follow them.
    carries: Cell<bool>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            snapshot: RefCell::new(None),
            nodes: RefCell::new(Rc::new([])),
            transits: RefCell::default(),
            settled: RefCell::default(),
            calm: Cell::new(true),
            any_ejected: Cell::new(false),
            carries: Cell::new(false),
        }
    }

    /// Whether it has any routes yet.
    pub(crate) fn is_routed(&self) -> bool {
        self.snapshot.borrow().is_some()
    }

    /// Takes new routes. Nodes that go on keep their counters and connections. Returns the nodes that are gone.
    pub(crate) fn install(&self, snapshot: Arc<Snapshot>, now: Instant) -> Vec<Rc<Node>> {
        let old = self.nodes.borrow().clone();
        let nodes: Rc<[Rc<Node>]> = snapshot
            .map
            .nodes()
            .iter()
            .zip(&snapshot.addresses)
            .map(|(node, address)| {
                let same = old.iter().find(|n| n.id == node.id && n.address == *address);
                same.cloned()
                    .unwrap_or_else(|| Rc::new(Node::new(node.id.clone(), *address, now)))
            })
            .collect();
        for (node, limits) in nodes.iter().zip(&snapshot.limits) {
            node.room.set(limits.clone());
        }
        let judged = nodes.iter().zip(snapshot.runs.iter().zip(&snapshot.ejected));
        judged.for_each(|(node, (run, ejected))| node.judged(run.clone(), *ejected));
        self.any_ejected.set(snapshot.ejected.contains(&true));
        self.carries.set(snapshot.carries);
        let gone = old
            .iter()
            .filter(|o| !nodes.iter().any(|n| Rc::ptr_eq(n, o)))
            .cloned()
            .collect();
        self.release_settled(&snapshot);
        self.release_stays(&snapshot);
        *self.nodes.borrow_mut() = nodes;
        *self.snapshot.borrow_mut() = Some(snapshot);
        self.recalm();
        gone
    }

    /// Sessions are remembered as settled only while the lazy list still has them, and not beyond the next move.
    fn release_settled(&self, snapshot: &Snapshot) {
        let lazy = &snapshot.lazy;
        let old = self.snapshot.borrow();
        let mut settled = self.settled.borrow_mut();
        settled.retain(|s| {
            let listed = lazy.sessions.contains(s) || lazy.buckets.contains(&s.bucket());
            listed && old.as_ref().is_some_and(|old| old.home(*s) == snapshot.home(*s))
        });
    }

    /// A session that stayed after a failure is free again once the map says where it is.
    fn release_stays(&self, snapshot: &Snapshot) {
        self.transits.borrow_mut().retain(|session, transit| {
            let (Stage::Stays, Some(from)) = (&transit.stage, &transit.from) else {
                return true;
            };
            let target = snapshot
                .map
                .lookup(*session)
                .map(|i| &snapshot.map.nodes()[usize::from(i.0)]);
            let from_serves = snapshot
                .map
                .nodes()
                .iter()
                .any(|n| n.id == from.id && matches!(n.state, NodeState::Ready | NodeState::Draining));
            from_serves && target.is_some_and(|t| t.id != from.id)
        });
    }

    fn recalm(&self) {
        let lazy = self
            .snapshot
            .borrow()
            .as_ref()
            .is_some_and(|s| !s.lazy.is_empty());
        self.calm.set(!lazy && self.transits.borrow().is_empty());
    }

    /// Where a request of `session` goes. `stream`: it would open a long-lived stream.
    #[inline]
    pub(crate) fn route(&self, session: SessionId, stream: bool, now: Instant) -> Route {
        if self.calm.get() {
            return self.lookup(session, now);
        }
        self.route_through_gate(session, stream, now)
    }

    fn route_through_gate(&self, session: SessionId, stream: bool, now: Instant) -> Route {
        let mut transits = self.transits.borrow_mut();
        if let Some(transit) = transits.get_mut(&session) {
            return match (&transit.stage, &transit.from) {
                (Stage::Begun, Some(from)) if !stream => Route::To(from.clone()),
                (Stage::Stays | Stage::Told, Some(from)) => Route::To(from.clone()),
                _ => {
                    let (sender, receiver) = oneshot::channel();
                    transit.waiting.push(sender);
                    Route::Wait(receiver, false)
                }
            };
        }
        if self.is_lazy(session) && !self.settled.borrow().contains(&session) {
            let (sender, receiver) = oneshot::channel();
            transits.insert(
                session,
                Transit {
                    from: None,
                    stage: Stage::Asked,
                    waiting: vec![sender],
                },
            );
            return Route::Wait(receiver, true);
        }
        drop(transits);
        self.lookup(session, now)
    }

    fn is_lazy(&self, session: SessionId) -> bool {
        let snapshot = self.snapshot.borrow();
        let Some(snapshot) = snapshot.as_ref() else {
            return false;
        };
        let lazy = &snapshot.lazy;
        !lazy.is_empty()
            && (lazy.sessions.contains(&session)
                || (lazy.buckets.contains(&session.bucket()) && snapshot.map.override_of(session).is_none()))
    }

    /// The map's node for a session; the next one on the ring where that one refused connections just now.
    fn lookup(&self, session: SessionId, now: Instant) -> Route {
        let snapshot = self.snapshot.borrow();
        let Some(snapshot) = snapshot.as_ref() else {
            return Route::Nowhere;
        };
        let Some(home) = snapshot.map.lookup(session) else {
            return Route::Nowhere;
        };
        let nodes = self.nodes.borrow();
        let node = &nodes[usize::from(home.0)];
        if !node.is_avoided(now) {
            return Route::To(node.clone());
        }
        if snapshot.keeps_sessions && !node.is_suspect(now) {
            return Route::To(node.clone());
        }
        match snapshot.map.next(session, |i| self.usable(snapshot, i, now)) {
            Some(other) => Route::Instead(nodes[usize::from(other.0)].clone(), node.clone()),
            None => Route::To(node.clone()),
        }
    }

    fn usable(&self, snapshot: &Snapshot, index: NodeIndex, now: Instant) -> bool {
        let at = usize::from(index.0);
        snapshot.map.nodes()[at].state == NodeState::Ready && !self.nodes.borrow()[at].is_avoided(now)
    }

    /// Whether some node is left out because it fails.
    #[inline]
    pub(crate) fn any_ejected(&self) -> bool {
        self.any_ejected.get()
    }

    /// Looks at the routes and the nodes, by the map's index, where there are any.
    pub(crate) fn survey<T>(&self, look: impl FnOnce(&Snapshot, &[Rc<Node>]) -> T) -> Option<T> {
        let snapshot = self.snapshot.borrow();
        Some(look(snapshot.as_ref()?, &self.nodes.borrow()))
    }

    /// A ready node that was not tried yet, for a session whose node failed.
    pub(crate) fn none_of(&self, session: SessionId, tried: &[NodeId], now: Instant) -> Option<Rc<Node>> {
        self.one_that(session, |node| !tried.contains(&node.id), now)
    }

    /// The first ready node, from the session's own on, that is `wanted`.
    pub(crate) fn one_that(
        &self,
        session: SessionId,
        wanted: impl Fn(&Node) -> bool,
        now: Instant,
    ) -> Option<Rc<Node>> {
        let snapshot = self.snapshot.borrow();
        let snapshot = snapshot.as_ref()?;
        let nodes = self.nodes.borrow();
        let usable = |i: NodeIndex| wanted(&nodes[usize::from(i.0)]) && self.usable(snapshot, i, now);
        let mapped = snapshot.map.lookup(session).filter(|i| usable(*i));
        let index = mapped.or_else(|| snapshot.map.next(session, usable))?;
        Some(nodes[usize::from(index.0)].clone())
    }

    /// Whether a node is ready, so that requests have somewhere to go.
    pub(crate) fn has_ready(&self) -> bool {
        let snapshot = self.snapshot.borrow();
        let ready = |s: &Arc<Snapshot>| s.map.nodes().iter().any(|n| n.state == NodeState::Ready);
        snapshot.as_ref().is_some_and(ready)
    }

    /// Whether the routes say that a node is down.
    pub(crate) fn is_down(&self, id: &NodeId) -> bool {
        self.states()
            .iter()
            .any(|(known, state)| known == id && *state == NodeState::Down)
    }

    /// Every node's state, as the routes say.
    pub(crate) fn states(&self) -> Vec<(NodeId, NodeState)> {
        let snapshot = self.snapshot.borrow();
        let nodes = snapshot.iter().flat_map(|s| s.map.nodes());
        nodes.map(|node| (node.id.clone(), node.state)).collect()
    }

    /// The node with an id.
    pub(crate) fn node(&self, id: &NodeId) -> Option<Rc<Node>> {
        self.nodes.borrow().iter().find(|n| n.id == *id).cloned()
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> Rc<[Rc<Node>]> {
        self.nodes.borrow().clone()
    }

    /// Clients are told to move; see [`crate::message::ToWorker::Tell`].
    pub(crate) fn tell(&self, session: SessionId, from: &NodeId) {
        let Some(from) = self.node(from) else { return };
        let transit = Transit {
            from: Some(from),
            stage: Stage::Told,
            waiting: vec![],
        };
        // Who waited asks again.
        self.transits.borrow_mut().insert(session, transit);
        self.calm.set(false);
    }

    /// A dead node's session is served by another one until it is moved from there; see [`crate::message::ToWorker::Settle`].
    pub(crate) fn settle(&self, session: SessionId, node: &NodeId) {
        let mut transits = self.transits.borrow_mut();
        let stays = |t: &Transit| matches!(t.stage, Stage::Stays);
        if let Some(node) = self.node(node)
            && transits.get(&session).is_none_or(stays)
        {
            let transit = Transit {
                from: Some(node),
                stage: Stage::Stays,
                waiting: vec![],
            };
            transits.insert(session, transit);
            self.calm.set(false);
        }
    }

    /// Whether sessions' kept state has to follow them.
    #[inline]
    pub(crate) fn carries(&self) -> bool {
        self.carries.get()
    }

    /// A hand-over begins; see [`crate::message::ToWorker::Begin`].
    pub(crate) fn begin(&self, session: SessionId, from: &NodeId) {
        let from = self.node(from);
        let mut transits = self.transits.borrow_mut();
        let transit = transits.entry(session).or_insert(Transit {
            from: None,
            stage: Stage::Asked,
            waiting: vec![],
        });
        transit.from = from;
        if transit.from.is_some() && !matches!(transit.stage, Stage::Asked if !transit.waiting.is_empty()) {
            transit.stage = Stage::Begun;
            transit.waiting.clear();
        } else {
            // A request asked for the hand-over: it waits for the end.
            transit.stage = Stage::Held;
        }
        self.calm.set(false);
    }

    /// Requests wait from now on.
    pub(crate) fn hold(&self, session: SessionId) {
        if let Some(transit) = self.transits.borrow_mut().get_mut(&session) {
            transit.stage = Stage::Held;
        }
    }

    /// Whether somebody wants to know when the session's last request was answered.
    #[inline]
    pub(crate) fn is_held(&self, session: SessionId) -> bool {
        !self.calm.get()
            && self
                .transits
                .borrow()
                .get(&session)
                .is_some_and(|t| matches!(t.stage, Stage::Held))
    }

    /// Whether a hand-over of the session is under way.
    pub(crate) fn in_transit(&self, session: SessionId) -> bool {
        !self.calm.get()
            && self
                .transits
                .borrow()
                .get(&session)
                .is_some_and(|t| matches!(t.stage, Stage::Begun | Stage::Held))
    }

    /// A hand-over ended. Everything that waited goes on.
    pub(crate) fn finish(&self, session: SessionId, ended: Ended) {
        let mut transits = self.transits.borrow_mut();
        match (ended, transits.get_mut(&session)) {
            (Ended::Stayed, Some(transit)) if transit.from.is_some() => {
                transit.waiting.clear();
                transit.stage = Stage::Stays;
            }
            _ => drop(transits.remove(&session)),
        }
        drop(transits);
        if ended == Ended::Switched && self.is_lazy(session) {
            let mut settled = self.settled.borrow_mut();
            if settled.len() >= SETTLED_MAX {
                settled.clear();
            }
            settled.insert(session);
        }
        self.recalm();
    }
}

/// A request waits for the end of a hand-over for so much longer than its deadline, then gives up.
pub(crate) const WAIT_GRACE: Duration = Duration::from_secs(2);
