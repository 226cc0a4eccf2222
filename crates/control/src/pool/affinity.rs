//! Where keys live, and moving them by hand.

use foreshift_wire::{
    AffinityView, ConnectionInfo, Move, MoveReason, MoveState, NodeId, NodeState, Override, PinRequest,
    SessionId, Unit,
};

use super::{
    handle::{Answer, Refusal},
    nodes::not_written,
    routes::Edit,
    state::Pool,
};
use crate::clock::now_ms;

/// How long a key that a plan moved may be idle before it falls back to its bucket.
pub(super) const IDLE_MS: u64 = 10 * 60 * 1_000;
/// Longest time to live of a pin: ten years.
const TTL_S_MAX: u64 = 10 * 365 * 24 * 3_600;
/// Characters of a key that travel.
const KEY_CHARS: usize = 64;

impl Pool {
    /// Where a key lives and why.
    pub(super) fn affinity(&self, key: String) -> AffinityView {
        let session = self.keyed.session(key.as_bytes());
        self.affinity_of(key, session)
    }

    pub(super) fn affinity_of(&self, key: String, session: SessionId) -> AffinityView {
        AffinityView {
            key,
            session,
            bucket: session.bucket(),
            node: self.routes.home_of(session).cloned(),
            r#override: self.routes.override_of(session).cloned(),
            map_version: self.routes.map().version(),
        }
    }

    /// Keeps a key on a node; moves it there where it lives elsewhere.
    pub(super) async fn pin(&mut self, key: String, pin: PinRequest) -> Answer<AffinityView> {
        let session = self.keyed.session(key.as_bytes());
        self.pin_as(session, &key, pin).await?;
        Ok(self.affinity(key))
    }

    /// As [`Self::pin`], of a session; `key`: what to call it.
    pub(super) async fn pin_as(&mut self, session: SessionId, key: &str, pin: PinRequest) -> Answer<()> {
        let now = now_ms();
        let expires_ms = match pin.ttl_s {
            Some(ttl) if ttl == 0 || ttl > TTL_S_MAX => {
                return Err(Refusal::Invalid(format!("ttl_s: 1 to {TTL_S_MAX}")));
            }
            ttl => ttl.map(|ttl| now + ttl * 1_000),
        };
        let target = self.target(pin.node.as_str())?;
        let set = |node, moving_from, move_id| Override {
            session,
            node,
            moving_from,
            move_id,
            expires_ms,
            pinned: true,
        };
        let moving = self.log.is_moving(session);
        match self.routes.home_of(session).cloned() {
            Some(home) if home != target => {
                self.by_hand(session, key, home, target, expires_ms, true).await?;
            }
            _ if moving => return Err(already_moving(key)),
            _ => {
                let former = self.routes.override_of(session);
                let (from, id) = former.map_or((None, None), |o| (o.moving_from.clone(), o.move_id));
                let edit = Edit {
                    set_overrides: vec![set(target, from, id)],
                    ..Default::default()
                };
                self.commit(edit).await.map_err(|error| not_written(&error))?;
            }
        }
        Ok(())
    }

    /// Lets plans move a key again, and lets it fall back to its bucket once it is idle.
    pub(super) async fn unpin(&mut self, key: &str) -> Answer<()> {
        let session = self.keyed.session(key.as_bytes());
        let Some(set) = self.routes.override_of(session).filter(|set| set.pinned) else {
            return Err(Refusal::NotFound(format!("key {key:?} is not pinned")));
        };
        let set = Override {
            pinned: false,
            expires_ms: Some(now_ms() + IDLE_MS),
            ..set.clone()
        };
        let edit = Edit {
            set_overrides: vec![set],
            ..Default::default()
        };
        self.commit(edit).await.map_err(|error| not_written(&error))
    }

    /// Moves a connection's session, with all its connections.
    pub(super) async fn migrate(&mut self, connection: ConnectionInfo, target: &NodeId) -> Answer<Move> {
        let target = self.target(target.as_str())?;
        let session = connection.session;
        if connection.node == target && self.routes.home_of(session) == Some(&target) {
            return Err(Refusal::Conflict(format!(
                "connection {} is on {target} already",
                connection.id
            )));
        }
        if connection.moving {
            return Err(already_moving(&connection.key));
        }
        let former = self.routes.override_of(session);
        let pinned = former.is_some_and(|set| set.pinned);
        let expires_ms = match former {
            Some(set) if set.pinned => set.expires_ms,
            _ => Some(now_ms() + IDLE_MS),
        };
        self.by_hand(
            session,
            &connection.key,
            connection.node,
            target,
            expires_ms,
            pinned,
        )
        .await
    }

    /// A node that takes keys.
    fn target(&self, id: &str) -> Answer<NodeId> {
        let id = self.known(id)?;
        match self.routes.node(&id).map(|record| record.observed) {
            Some(NodeState::Ready) => Ok(id),
            state => {
                let state = state.map_or("gone", name);
                Err(Refusal::Conflict(format!(
                    "node {id} is {state} and takes no keys; choose one that is ready"
                )))
            }
        }
    }

    async fn by_hand(
        &mut self,
        session: SessionId,
        key: &str,
        from: NodeId,
        to: NodeId,
        expires_ms: Option<u64>,
        pinned: bool,
    ) -> Answer<Move> {
        if self.log.is_moving(session) {
            return Err(already_moving(key));
        }
        let made = Move {
            id: self.log.next_id(),
            pool: self.settings.name.clone(),
            unit: Unit::Key {
                session,
                key: key.chars().take(KEY_CHARS).collect(),
            },
            from: from.clone(),
            to: to.clone(),
            reason: MoveReason::Operator,
            benefit: 0.0,
            cost: 0.0,
            priority: 0,
            planned_ms: now_ms(),
            state: MoveState::Moving,
            outcome: None,
        };
        let set = Override {
            session,
            node: to,
            moving_from: Some(from),
            move_id: Some(made.id),
            expires_ms,
            pinned,
        };
        let edit = Edit {
            set_overrides: vec![set],
            ..Default::default()
        };
        self.begin(vec![made.clone()], edit)
            .await
            .map_err(|error| not_written(&error))?;
        self.remember_start(&made);
        Ok(made)
    }
}

fn already_moving(key: &str) -> Refusal {
    Refusal::Conflict(format!(
        "key {key:?} is being moved; try again once /v1/moves shows that it ended"
    ))
}

fn name(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Ready => "ready",
        NodeState::Draining => "draining",
        NodeState::Down => "down",
    }
}
