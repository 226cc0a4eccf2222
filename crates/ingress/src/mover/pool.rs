//! One pool's routes, and which of its sessions are not yet where the routes say.

mod kept;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use foreshift_meta::routes::{RouteChange, RouteTable};
use foreshift_placement::{AffinityMap, MapChanges, MapNode};
use foreshift_wire::{
    IngressEvent, MoveFailure, MovedBucket, NodeId, NodeRecord, NodeState, Override, SessionId,
};
use std::collections::{HashMap, HashSet};

use super::active::{Ending, Journey};
use crate::{
    table::{Lazy, Snapshot},
    upstream::{Bounds, Limits},
};

/// How long a session that nobody uses may leave its state on the old node before that is forgotten.
const LAZY_FOR: Duration = Duration::from_secs(600);
/// A hand-over that failed, and that no plan will repeat, is tried again after this time, doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What follows from new routes.
pub(super) enum Task {
    Move(SessionId),
    /// Sessions in these buckets have a new owner.
    MoveBuckets(Vec<u16>),
    Settle(IngressEvent),
}

/// State that may still be on older nodes, the latest first.
struct Left {
    holders: Vec<NodeId>,
    until: Instant,
}

/// A session whose hand-over failed.
struct Stayed {
    node: NodeId,
    failures: u32,
    retry_at: Option<Instant>,
}

/// A bucket that changes owner, while sessions with open connections leave.
#[derive(Default)]
struct Progress {
    remaining: HashSet<SessionId>,
    connections: u32,
    failed: u32,
    pause_us_max: u64,
}

pub(super) struct PoolState {
    pub(super) config: Arc<foreshift_wire::Pool>,
    /// Sessions' state is kept, wherever they are served.
    keeps_state: bool,
    /// Of this ingress.
    zone: Option<Arc<str>>,
    map: AffinityMap,
    nodes: BTreeMap<NodeId, NodeRecord>,
    /// Of removed nodes too: their sessions still have to be fetched.
    addresses: HashMap<NodeId, SocketAddr>,
    /// Of nodes that have any, for all workers.
    limits: HashMap<NodeId, Arc<Limits>>,
    /// Gateway errors in a row, over all workers; only where outliers are looked for.
    runs: HashMap<NodeId, Arc<AtomicU32>>,
    overrides: HashMap<SessionId, Override>,
    moved: HashMap<u16, MovedBucket>,
    left_sessions: HashMap<SessionId, Left>,
    left_buckets: HashMap<u16, Left>,
    /// Handed over although their bucket is still listed in `left_buckets`.
    settled: HashSet<SessionId>,
    stayed: HashMap<SessionId, Stayed>,
    /// Moves that were ordered by an override and of whose end control has not been told.
    ordered: HashSet<SessionId>,
    progress: HashMap<u16, Progress>,
    next_expiry: Option<Instant>,
    /// The buckets have to be filled anew.
    refill: bool,
}

impl PoolState {
    pub(super) fn new(config: Arc<foreshift_wire::Pool>, zone: Option<Arc<str>>, keeps_state: bool) -> Self {
        let map = AffinityMap::build(0, Vec::new(), config.balance_factor);
        Self {
            config,
            keeps_state,
            zone,
            map,
            nodes: BTreeMap::new(),
            addresses: HashMap::new(),
            limits: HashMap::new(),
            runs: HashMap::new(),
            overrides: HashMap::new(),
            moved: HashMap::new(),
            left_sessions: HashMap::new(),
            left_buckets: HashMap::new(),
            settled: HashSet::new(),
            stayed: HashMap::new(),
            ordered: HashSet::new(),
            progress: HashMap::new(),
            next_expiry: None,
            refill: false,
        }
    }

    /// Takes new settings. True where the workers have to hear of it.
    pub(super) fn configure(&mut self, config: Arc<foreshift_wire::Pool>) -> bool {
        // Compared as they were written, not as numbers that come near each other.
        self.refill |= config.balance_factor.to_bits() != self.config.balance_factor.to_bits();
        let relimited = config.circuit != self.config.circuit || config.outlier != self.config.outlier;
        self.config = config;
        if relimited {
            self.renew_limits();
        }
        self.refill || relimited
    }

    /// Nodes give state away and take it back.
    pub(super) fn has_hook(&self) -> bool {
        self.config.handoff_path.is_some() && self.config.resume_path.is_some()
    }

    pub(super) fn address(&self, node: &NodeId) -> Option<SocketAddr> {
        self.addresses.get(node).copied()
    }

    fn is_alive(&self, node: &NodeId) -> bool {
        let state = self.nodes.get(node).map(|n| n.observed);
        // A node that was removed may still run; it is asked.
        !matches!(state, Some(NodeState::Down)) && self.addresses.contains_key(node)
    }

    /// What the workers route by.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = |n: &MapNode| self.address(&n.id).unwrap_or(unknown);
        let mut lazy = Lazy::default();
        if self.carries() {
            lazy.sessions.extend(self.left_sessions.keys().copied());
            lazy.buckets.extend(self.left_buckets.keys().copied());
        }
        let addresses = self.map.nodes().iter().map(address).collect();
        let ejected = |n: &MapNode| self.nodes.get(&n.id).is_some_and(|r| r.ejected.is_some());
        let zone = self.zone.as_deref();
        let is_near = |r: &NodeRecord| zone.is_some_and(|zone| zone == r.spec.zone);
        let own_zone = |n: &MapNode| self.nodes.get(&n.id).is_some_and(is_near);
        let run = |n: &MapNode| self.runs.get(&n.id).cloned();
        let limits = |n: &MapNode| self.limits.get(&n.id).cloned();
        Arc::new(Snapshot {
            map: self.map.clone(),
            addresses,
            limits: self.map.nodes().iter().map(limits).collect(),
            ejected: self.map.nodes().iter().map(ejected).collect(),
            own_zone: self.map.nodes().iter().map(own_zone).collect(),
            runs: self.map.nodes().iter().map(run).collect(),
            keeps_sessions: self.keeps_sessions(),
            carries: self.carries_kept_state(),
            lazy: Arc::new(lazy),
        })
    }

    /// What changed, given all there is.
    pub(super) fn difference(&self, table: RouteTable) -> RouteChange {
        let RouteTable {
            revision,
            nodes,
            overrides,
            buckets,
        } = table;
        let node_ids: HashSet<_> = nodes.iter().map(|n| n.spec.id.clone()).collect();
        let sessions: HashSet<_> = overrides.iter().map(|o| o.session).collect();
        let bucket_ids: HashSet<_> = buckets.iter().map(|b| b.bucket).collect();
        RouteChange {
            revision,
            nodes_removed: self
                .nodes
                .keys()
                .filter(|id| !node_ids.contains(*id))
                .cloned()
                .collect(),
            overrides_cleared: self
                .overrides
                .keys()
                .filter(|s| !sessions.contains(*s))
                .copied()
                .collect(),
            buckets_cleared: self
                .moved
                .keys()
                .filter(|b| !bucket_ids.contains(*b))
                .copied()
                .collect(),
            overrides_set: overrides
                .into_iter()
                .filter(|o| self.overrides.get(&o.session) != Some(o))
                .collect(),
            nodes_set: nodes,
            buckets_set: buckets,
        }
    }

    /// Takes a change over.
    pub(super) fn apply(&mut self, change: RouteChange, now: Instant) -> Vec<Task> {
        let old = self.map.clone();
        let touched: Vec<SessionId> = change
            .overrides_set
            .iter()
            .map(|o| o.session)
            .chain(change.overrides_cleared.iter().copied())
            .collect();
        self.take(change);
        let mut tasks = Vec::new();
        for session in touched {
            self.session_changed(session, &old, now, &mut tasks);
        }
        let buckets = self.buckets_changed(&old, now);
        if !buckets.is_empty() {
            tasks.push(Task::MoveBuckets(buckets));
        }
        tasks
    }

    fn take(&mut self, change: RouteChange) {
        let nodes_changed = !change.nodes_set.is_empty() || !change.nodes_removed.is_empty();
        let mut changes = MapChanges::default();
        for record in change.nodes_set {
            match record.spec.address.parse() {
                Ok(address) => drop(self.addresses.insert(record.spec.id.clone(), address)),
                Err(_) => {
                    tracing::error!(node = %record.spec.id, address = record.spec.address, "not an address and port");
                }
            }
            self.nodes.insert(record.spec.id.clone(), record);
        }
        for id in &change.nodes_removed {
            self.nodes.remove(id);
        }
        for session in change.overrides_cleared {
            self.overrides.remove(&session);
            changes.clear_overrides.push(session);
        }
        for record in change.overrides_set {
            changes.set_overrides.push((record.session, record.node.clone()));
            self.overrides.insert(record.session, record);
        }
        for bucket in change.buckets_cleared {
            self.moved.remove(&bucket);
            changes.clear_buckets.push(bucket);
        }
        for record in change.buckets_set {
            changes.set_buckets.push((record.bucket, record.node.clone()));
            self.moved.insert(record.bucket, record);
        }
        let version = self.map.version() + 1;
        let refill = std::mem::take(&mut self.refill);
        if refill || nodes_changed {
            self.renew_limits();
        }
        let nodes_changed = nodes_changed && self.map.nodes() != self.map_nodes();
        if refill {
            self.map = AffinityMap::build(version, self.map_nodes(), self.config.balance_factor);
        } else if nodes_changed {
            self.map = self.map.with_nodes(version, self.map_nodes());
        }
        if refill || nodes_changed {
            // What named a node that comes back counts again.
            changes.set_overrides = self
                .overrides
                .values()
                .map(|o| (o.session, o.node.clone()))
                .collect();
            changes.set_buckets = self.moved.values().map(|b| (b.bucket, b.node.clone())).collect();
        }
        self.map = self.map.with_changes(version, &changes);
    }

    /// Brings the nodes' limits to what is configured. Those that go on keep what is in use.
    fn renew_limits(&mut self) {
        let (nodes, circuit) = (&self.nodes, self.config.circuit.as_ref());
        self.limits.retain(|id, _| nodes.contains_key(id));
        for (id, record) in nodes {
            match (Bounds::of(circuit, record.maxconn()), self.limits.get(id)) {
                (Some(bounds), Some(limits)) => limits.set(bounds),
                (Some(bounds), None) => {
                    self.limits.insert(id.clone(), Arc::new(Limits::new(bounds)));
                }
                (None, _) => drop(self.limits.remove(id)),
            }
        }
        self.runs
            .retain(|id, _| nodes.contains_key(id) && self.config.outlier.is_some());
        if self.config.outlier.is_some() {
            for id in nodes.keys() {
                self.runs.entry(id.clone()).or_default();
            }
        }
    }

    fn map_nodes(&self) -> Vec<MapNode> {
        let node = |n: &NodeRecord| MapNode {
            id: n.spec.id.clone(),
            weight: n.map_weight(),
            state: n.observed,
        };
        self.nodes.values().map(node).collect()
    }

    fn place(map: &AffinityMap, session: SessionId) -> Option<NodeId> {
        let index = map.lookup(session)?;
        Some(map.nodes()[usize::from(index.0)].id.clone())
    }

    /// Where the routes say that a session lives.
    pub(super) fn place_of(&self, session: SessionId) -> Option<NodeId> {
        Self::place(&self.map, session)
    }

    /// Nodes that may hold a session's state, before its placement changed; the one that serves it first.
    fn holders(&self, session: SessionId, old: &AffinityMap) -> Vec<NodeId> {
        let mut holders = Vec::new();
        holders.extend(self.stayed.get(&session).map(|s| s.node.clone()));
        holders.extend(
            self.left_sessions
                .get(&session)
                .map(|l| l.holders.clone())
                .unwrap_or_default(),
        );
        if holders.is_empty() {
            let said = self.overrides.get(&session).and_then(|o| o.moving_from.clone());
            holders.extend(said.or_else(|| Self::place(old, session)));
            if !self.settled.contains(&session) {
                let bucket = self.left_buckets.get(&session.bucket());
                holders.extend(bucket.map(|l| l.holders.clone()).unwrap_or_default());
            }
        }
        holders
    }

    fn session_changed(
        &mut self,
        session: SessionId,
        old: &AffinityMap,
        now: Instant,
        tasks: &mut Vec<Task>,
    ) {
        let to = Self::place(&self.map, session);
        let mut holders = self.holders(session, old);
        let carries = self.carries_kept_state();
        let was_there = carries && holders.first().is_some_and(|n| !self.is_alive(n));
        holders.retain(|n| self.is_alive(n) || carries);
        let moving = self
            .overrides
            .get(&session)
            .is_some_and(|o| o.moving_from.is_some());
        if moving {
            self.ordered.insert(session);
        } else {
            self.ordered.remove(&session);
        }
        if holders.is_empty() || holders.first() == to.as_ref() {
            self.left_sessions.remove(&session);
            self.stayed.remove(&session);
            tasks.extend(self.settle(session).map(Task::Settle));
            return;
        }
        self.left_sessions.insert(
            session,
            Left {
                holders,
                until: now + LAZY_FOR,
            },
        );
        self.expire_at(now + LAZY_FOR);
        if was_there {
            // Nothing of it is open there any more: its next request asks for it.
            return tasks.extend(self.settle(session).map(Task::Settle));
        }
        tasks.push(Task::Move(session));
    }

    /// What control is told of an ordered move that ends without a hand-over of its own: the session is there
    /// already, or cannot go there.
    pub(super) fn settle(&mut self, session: SessionId) -> Option<IngressEvent> {
        if !self.ordered.remove(&session) {
            return None;
        }
        let record = self.overrides.get(&session)?;
        let failure = (Self::place(&self.map, session).as_ref() != Some(&record.node)).then(|| {
            let detail = format!("{} takes no sessions now", record.node);
            MoveFailure::Cancelled { detail }
        });
        Some(IngressEvent::HandedOver {
            pool: self.config.name.clone(),
            session,
            move_id: record.move_id,
            from: record.moving_from.clone()?,
            to: record.node.clone(),
            pauses_us: Vec::new(),
            failure,
            told: None,
        })
    }

    /// An open stream of the session is served by `node`: it is there that its state is.
    pub(super) fn found_at(&self, journey: &mut Journey, node: &NodeId) {
        if *node != journey.from {
            journey.holders.retain(|n| n != node);
            journey.holders.insert(0, node.clone());
            journey.from = node.clone();
            journey.from_is_alive = self.is_alive(node);
        }
    }

    /// A session's node died, and another one took it over.
    pub(super) fn went(&mut self, session: SessionId, to: &NodeId, now: Instant) {
        self.left_sessions.remove(&session);
        if Self::place(&self.map, session).as_ref() == Some(to) {
            self.stayed.remove(&session);
            if self.left_buckets.contains_key(&session.bucket()) {
                self.settled.insert(session);
            }
            return;
        }
        // The routes will say something else once the dead node is found to be down.
        let stayed = Stayed {
            node: to.clone(),
            failures: 0,
            retry_at: Some(now + RETRY_FIRST),
        };
        self.stayed.insert(session, stayed);
    }

    /// Buckets that changed owner, of which sessions have to follow.
    fn buckets_changed(&mut self, old: &AffinityMap, now: Instant) -> Vec<u16> {
        let until = now + LAZY_FOR;
        let carries = self.carries_kept_state();
        let (mut changed, mut again) = (Vec::new(), HashMap::new());
        for bucket in old.changed_buckets(&self.map) {
            let owner = |map: &AffinityMap| {
                map.bucket_owner(bucket)
                    .map(|i| map.nodes()[usize::from(i.0)].id.clone())
            };
            let (Some(from), Some(to)) = (owner(old), owner(&self.map)) else {
                continue;
            };
            // Sessions that have not yet followed the last change are where they were before it.
            let before = self.left_buckets.remove(&bucket).filter(|_| self.carries());
            if before.is_some() && self.is_alive(&from) {
                again.insert(bucket, from.clone());
            }
            let mut holders = before.map_or_else(|| vec![from], |left| left.holders);
            // A dead node's streams fail over by themselves, and its other sessions come when they are asked for.
            let dead = carries && holders.first().is_some_and(|n| !self.is_alive(n));
            holders.retain(|n| *n != to && (self.is_alive(n) || carries));
            if holders.is_empty() && !again.contains_key(&bucket) {
                continue;
            }
            if !dead || again.contains_key(&bucket) {
                changed.push(bucket);
            }
            if !holders.is_empty() {
                self.left_buckets.insert(bucket, Left { holders, until });
            }
        }
        if !changed.is_empty() {
            self.expire_at(until);
            self.follow_again(&again, until);
            // That a session has followed the last change says nothing of this one.
            let moved: HashSet<u16> = changed.iter().copied().collect();
            self.settled.retain(|s| !moved.contains(&s.bucket()));
        }
        changed
    }

    /// Sessions that had followed their bucket, which now changes owner once more.
    fn follow_again(&mut self, again: &HashMap<u16, NodeId>, until: Instant) {
        let followed: Vec<SessionId> = self
            .settled
            .iter()
            .filter(|s| again.contains_key(&s.bucket()))
            .copied()
            .collect();
        for session in followed {
            self.settled.remove(&session);
            if !self.overrides.contains_key(&session) {
                let holders = vec![again[&session.bucket()].clone()];
                self.left_sessions.insert(session, Left { holders, until });
            }
        }
    }

    fn expire_at(&mut self, at: Instant) {
        self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
    }

    /// From where to where a session has to go, where it is not where the map says.
    pub(super) fn journey(&self, session: SessionId) -> Option<Journey> {
        let to = Self::place(&self.map, session)?;
        let record = self.overrides.get(&session);
        let by_bucket = record.is_none() && !self.left_sessions.contains_key(&session);
        let holders = if let Some(stayed) = self.stayed.get(&session) {
            vec![stayed.node.clone()]
        } else if let Some(left) = self.left_sessions.get(&session) {
            left.holders.clone()
        } else if by_bucket && !self.settled.contains(&session) {
            self.left_buckets.get(&session.bucket())?.holders.clone()
        } else {
            return None;
        };
        let (alive, dead): (Vec<_>, Vec<_>) = holders.into_iter().partition(|n| self.is_alive(n));
        // Who is dead is asked for nothing.
        let holders = if alive.is_empty() { dead } else { alive };
        let from = holders.first()?.clone();
        if from == to {
            return None;
        }
        Some(Journey {
            from_is_alive: self.is_alive(&from),
            from,
            to,
            holders,
            move_id: record.and_then(|o| o.move_id),
            bucket: by_bucket.then(|| session.bucket()),
        })
    }

    /// Sessions with open connections in buckets that changed owner. Returns what is settled already.
    pub(super) fn live(&mut self, buckets: &[u16], sessions: &[SessionId]) -> Vec<IngressEvent> {
        for bucket in buckets {
            self.progress.insert(*bucket, Progress::default());
        }
        for session in sessions {
            if self.journey(*session).is_some_and(|j| j.bucket.is_some())
                && let Some(progress) = self.progress.get_mut(&session.bucket())
            {
                progress.remaining.insert(*session);
            }
        }
        buckets.iter().filter_map(|b| self.bucket_settled(*b)).collect()
    }

    fn bucket_settled(&mut self, bucket: u16) -> Option<IngressEvent> {
        if !self.progress.get(&bucket)?.remaining.is_empty() {
            return None;
        }
        let progress = self.progress.remove(&bucket)?;
        Some(IngressEvent::BucketSettled {
            pool: self.config.name.clone(),
            bucket,
            move_id: self.moved.get(&bucket).map(|m| m.move_id),
            connections: progress.connections,
            failed: progress.failed,
            pause_us_max: progress.pause_us_max,
        })
    }

    /// A session turned out to have nothing open.
    pub(super) fn left_lazy(&mut self, session: SessionId) -> Option<IngressEvent> {
        if self.stayed.get(&session).is_some_and(|s| s.failures == 0) {
            self.stayed.remove(&session);
        }
        self.progress
            .get_mut(&session.bucket())?
            .remaining
            .remove(&session);
        self.bucket_settled(session.bucket())
    }

    /// A hand-over ended: remembers where the session is now.
    pub(super) fn placed(
        &mut self,
        session: SessionId,
        journey: &Journey,
        failure: Option<&MoveFailure>,
        now: Instant,
    ) {
        if failure.is_none() || failure == Some(&MoveFailure::OldNodeLost) {
            self.left_sessions.remove(&session);
            self.stayed.remove(&session);
            if self.left_buckets.contains_key(&session.bucket()) {
                self.settled.insert(session);
            }
        } else {
            self.note_stay(session, journey, now);
        }
    }

    /// What control is told of a hand-over that ended.
    pub(super) fn ended(&mut self, session: SessionId, ending: Ending) -> Vec<IngressEvent> {
        let Ending {
            journey,
            pauses_us,
            failure,
            telling,
            by_proxy,
            ..
        } = ending;
        let told = telling.map(|telling| telling.told(by_proxy, failure.is_some()));
        let mut events = Vec::new();
        if let Some(bucket) = journey.bucket
            && let Some(progress) = self.progress.get_mut(&bucket)
            && progress.remaining.remove(&session)
        {
            progress.connections += pauses_us.len() as u32;
            progress.failed += u32::from(failure.is_some());
            let longest = pauses_us.iter().map(|(_, p)| *p).max().unwrap_or(0);
            progress.pause_us_max = progress.pause_us_max.max(longest);
            events.extend(self.bucket_settled(bucket));
        }
        let Journey {
            from, to, move_id, ..
        } = journey;
        let pool = self.config.name.clone();
        // A later order is still to be told of.
        if move_id.is_some() && self.overrides.get(&session).and_then(|o| o.move_id) == move_id {
            self.ordered.remove(&session);
        }
        events.push(IngressEvent::HandedOver {
            pool,
            session,
            move_id,
            from,
            to,
            pauses_us,
            failure,
            told,
        });
        events
    }

    fn note_stay(&mut self, session: SessionId, journey: &Journey, now: Instant) {
        let failures = self.stayed.get(&session).map_or(0, |s| s.failures) + 1;
        let wait = (RETRY_FIRST * 2_u32.saturating_pow(failures - 1)).min(RETRY_MAX);
        // What a plan or an operator asked for is theirs to ask again.
        let retry_at = journey.move_id.is_none().then(|| now + wait);
        let node = journey.from.clone();
        self.stayed.insert(
            session,
            Stayed {
                node,
                failures,
                retry_at,
            },
        );
    }

    /// Sessions to try again, what expired, and whether the workers' snapshot changed by that.
    pub(super) fn sweep(&mut self, now: Instant) -> (Vec<SessionId>, Vec<IngressEvent>, bool) {
        let mut retries = Vec::new();
        for (session, stayed) in &mut self.stayed {
            if stayed.retry_at.take_if(|at| *at <= now).is_some() {
                retries.push(*session);
            }
        }
        if self.next_expiry.is_none_or(|at| at > now) {
            return (retries, Vec::new(), false);
        }
        let over: Vec<SessionId> = self
            .left_sessions
            .iter()
            .filter(|(_, l)| l.until <= now)
            .map(|(s, _)| *s)
            .collect();
        let events = over.iter().filter_map(|s| self.settle(*s)).collect();
        self.left_sessions.retain(|_, l| l.until > now);
        self.left_buckets.retain(|_, l| l.until > now);
        let left = &self.left_buckets;
        self.settled.retain(|s| left.contains_key(&s.bucket()));
        let lefts = self.left_sessions.values().chain(self.left_buckets.values());
        self.next_expiry = lefts.map(|l| l.until).min();
        (retries, events, true)
    }
}
