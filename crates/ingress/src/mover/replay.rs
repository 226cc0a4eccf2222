//! Sessions' state on its way to a node: who owns it, and the partitions that the node requires.
//!
//! A node is sent one request for each partition that it lacks, and has it once it has told the digest of what it read. Where it
//! fetches them by itself it gets a token instead. What a node is thought to hold is the store's to know.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, PoolName, ReplayWay, SessionId};
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::{
    hooks::{Call, Hooks, Way},
    pool::PoolState,
};
use crate::{
    reigns::{EPOCH, FAILOVER},
    state::{Portion, SessionState},
};

const ENTRIES: &str = "application/vnd.foreshift.entries";
/// How often a store is asked to make the old node the owner again.
const UNFENCE_ATTEMPTS: u32 = 3;
/// Time for each attempt, and until the next.
const UNFENCE_WITHIN: Duration = Duration::from_secs(1);
const UNFENCE_AGAIN: Duration = Duration::from_millis(100);
/// Time for a node to forget a session that it does not serve any more. Nobody waits for it.
const FORGET_WITHIN: Duration = Duration::from_secs(5);
/// The session is over: a node must not keep its copy.
const ENDED: (&str, &str) = ("Foreshift-Session-Ended", "1");

/// Whether a pool's nodes are sent what they require.
pub(super) fn pushes(pool: &foreshift_wire::Pool) -> bool {
    pool.replay_path.is_some() && pool.replay != ReplayWay::Pull
}

/// One session's way to one node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Replay {
    pub(super) state: Arc<dyn SessionState>,
    pub(super) hooks: Hooks,
    pub(super) way: Rc<Way>,
    pub(super) pool: PoolName,
    pub(super) session: SessionId,
    pub(super) to: NodeId,
    pub(super) address: Option<SocketAddr>,
    /// Where the nodes are sent partitions; `None`: they fetch them.
    pub(super) path: Option<Rc<str>>,
    pub(super) required: Rc<[PartitionPattern]>,
    /// The node that served the session and died.
    pub(super) dead: Option<NodeId>,
    /// All of it has to be done by then.
    pub(super) until: Instant,
}

impl Replay {
    /// Makes the node the owner.
    pub(super) async fn fence(&self, grace: Duration) -> Result<Epoch, String> {
        let hand = self.state.hand(&self.pool, self.session, &self.to);
        let late = |_| String::from("the store of sessions' state gave no answer in time");
        timeout_at(self.until + grace, hand).await.map_err(late)?
    }

    /// Makes the node the owner again after it had lost the session. Where the store cannot be had, in this process at least.
    pub(super) async fn unfence(&self) -> Option<Epoch> {
        let mut said = String::new();
        for _ in 0..UNFENCE_ATTEMPTS {
            let hand = self.state.hand(&self.pool, self.session, &self.to);
            match tokio::time::timeout(UNFENCE_WITHIN, hand).await {
                Ok(Ok(epoch)) => return Some(epoch),
                Ok(Err(error)) => said = error,
                Err(_) => said = format!("no answer within {UNFENCE_WITHIN:?}"),
            }
            tokio::time::sleep(UNFENCE_AGAIN).await;
        }
        tracing::error!(pool = %self.pool, node = %self.to, error = said,
            "the store did not give a session back to the node that serves it on");
        // Perhaps it is stored who owns it, and nobody was told: what was known before would be refused for ever.
        match self.state.reinstate(&self.pool, self.session, &self.to) {
            crate::state::Serving::Since(epoch) => Some(epoch),
            crate::state::Serving::Revoked => None,
        }
    }

    /// Sends the node all that it lacks of what it requires. Nothing is to be done where it fetches it.
    pub(super) async fn push(&self, epoch: Option<Epoch>) -> Result<(), String> {
        if self.path.is_none() {
            return Ok(());
        }
        let all = self.push_all(epoch);
        let late = |_| String::from("the session's partitions were not replayed in time");
        timeout_at(self.until, all).await.map_err(late)?
    }

    async fn push_all(&self, epoch: Option<Epoch>) -> Result<(), String> {
        let mut lacking = None;
        for portion in self.missing().await? {
            match self.put(&portion, epoch).await? {
                Put::Taken => {}
                Put::Lacks => lacking = Some(portion.partition),
            }
        }
        let Some(lacking) = lacking else {
            return Ok(());
        };
        // It does not hold what it was thought to hold: all of it once more, as a whole.
        self.state.forgets(self.session, &self.to);
        for portion in self.missing().await? {
            if self.put(&portion, epoch).await? == Put::Lacks {
                return Err(refused(&lacking, "it answered 412 to a whole partition"));
            }
        }
        Ok(())
    }

    async fn missing(&self) -> Result<Vec<Portion>, String> {
        let missing = self
            .state
            .missing(&self.pool, self.session, &self.to, &self.required);
        missing.await
    }

    async fn put(&self, portion: &Portion, epoch: Option<Epoch>) -> Result<Put, String> {
        let name = &portion.partition;
        let refused = |why: &str| refused(name, why);
        let address = self.address.ok_or_else(|| refused("the node is not known"))?;
        let path = format!("{}/{}", self.base(), name.as_str().replace('/', "%2F"));
        let digest = format!(
            "sha-256=:{}:",
            BASE64_STANDARD.encode(Sha256::digest(&portion.body))
        );
        let (version, since) = (portion.version.to_string(), portion.since.to_string());
        let epoch = epoch.map(|epoch| epoch.to_string());
        let mut fields = vec![
            ("Content-Type", ENTRIES),
            ("Content-Digest", &digest),
            ("Foreshift-Version", &version),
            ("Foreshift-Since", &since),
        ];
        fields.extend(epoch.as_deref().map(|epoch| (EPOCH, epoch)));
        fields.extend(portion.encoding.map(|coding| ("Content-Encoding", coding)));
        fields.extend(self.dead.as_ref().map(|dead| (FAILOVER, dead.as_str())));
        let call = self.call(address, &path);
        let answer = self.hooks.send(&call, Method::PUT, &fields, portion.body.clone());
        let (head, _) = answer.await.map_err(|why| refused(&why))?;
        if head.status == StatusCode::PRECONDITION_FAILED {
            return Ok(Put::Lacks);
        }
        if !head.status.is_success() {
            return Err(refused(&format!("it answered {}", head.status)));
        }
        let told = head.headers.get("foreshift-digest");
        if told.is_none_or(|told| told != digest.as_str()) {
            return Err(refused("the digest of what it read is another one, or missing"));
        }
        self.state.holds(self.session, &self.to, name, portion.version);
        Ok(Put::Taken)
    }

    /// Where the node takes and forgets the session.
    fn base(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        format!("{}/{}", path.trim_end_matches('/'), self.session)
    }

    fn call<'a>(&'a self, address: SocketAddr, path: &'a str) -> Call<'a> {
        Call {
            address,
            path,
            session: self.session,
            within: self.until.saturating_duration_since(Instant::now()),
            way: &self.way,
        }
    }

    /// Tells the node, which does not serve the session any more, to forget it.
    pub(super) async fn forget(self, epoch: Option<Epoch>) {
        match self.delete(epoch, None).await {
            Ok(status) if status.is_success() => self.state.forgets(self.session, &self.to),
            Ok(status) => {
                tracing::debug!(node = %self.to, %status, "a node did not forget a session");
            }
            Err(error) => {
                tracing::debug!(node = %self.to, error, "a node could not be told to forget a session");
            }
        }
    }

    /// Tells the node that the session ended; what it answered.
    pub(super) async fn end(&self, epoch: Epoch) -> Result<StatusCode, String> {
        self.delete(Some(epoch), Some(ENDED)).await
    }

    async fn delete(&self, epoch: Option<Epoch>, why: Option<(&str, &str)>) -> Result<StatusCode, String> {
        let address = self.address.ok_or("the node is not known")?;
        let (path, epoch) = (self.base(), epoch.map(|epoch| epoch.to_string()));
        let epoch = epoch.as_deref().map(|epoch| (EPOCH, epoch));
        let fields: Vec<_> = epoch.into_iter().chain(why).collect();
        let call = Call {
            within: FORGET_WITHIN,
            ..self.call(address, &path)
        };
        let answer = self
            .hooks
            .send(&call, Method::DELETE, &fields, Default::default());
        Ok(answer.await?.0.status)
    }

    /// The token with which the node fetches what it lacks, where it is not sent it.
    pub(super) fn ticket(&self, within: Duration) -> Option<String> {
        let ticket = || {
            let Self {
                pool,
                session,
                to,
                required,
                ..
            } = self;
            self.state.ticket(pool, *session, to, required, within)
        };
        self.path.is_none().then(ticket)
    }

    /// The node goes on where a dead one stopped: it becomes the owner, and is sent what it lacks.
    pub(super) async fn take_over(&self) -> Result<Epoch, String> {
        let epoch = self.fence(Duration::ZERO).await?;
        self.push(Some(epoch)).await?;
        Ok(epoch)
    }
}

fn refused(partition: &PartitionName, why: &str) -> String {
    format!("partition {partition}: {why}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Taken,
    /// The node does not hold the version that this goes on from.
    Lacks,
}

impl super::Mover {
    /// A session's way to a node. `None` where no state is kept.
    pub(super) fn replay(
        &self,
        (pool, session): super::Id,
        to: &NodeId,
        dead: Option<NodeId>,
        until: Instant,
    ) -> Option<Replay> {
        let pool: &PoolState = &self.pools[pool];
        let path = pool
            .config
            .replay_path
            .as_deref()
            .filter(|_| pushes(&pool.config));
        Some(Replay {
            state: self.shared.reigns.state()?.clone(),
            hooks: self.hooks.clone(),
            way: Rc::new(self.way(pool)),
            pool: pool.config.name.clone(),
            session,
            to: to.clone(),
            address: pool.address(to),
            path: path.map(Into::into),
            required: pool.required(to),
            dead,
            until,
        })
    }
}
