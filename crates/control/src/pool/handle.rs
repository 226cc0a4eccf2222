//! How others ask a pool: a message and its answer.

use foreshift_wire::{
    AffinityView, AgentReceipt, AgentReport, ConnectionInfo, EntryFilter, IngressEvent, Move, NodeChange,
    NodeId, NodeSpec, NodeState, NodeView, Override, PinRequest, PlanView, PoolInfo, PoolView, SeriesFilter,
    SeriesView, SessionId, Signals,
};
use tokio::sync::{mpsc, oneshot};

use super::configure::NewSettings;
use crate::metrics::PoolMetrics;

/// Why a pool does not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Something that the request names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(String),
    /// It can never be done.
    #[error("{0}")]
    Invalid(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
}

pub(crate) type Answer<T> = Result<T, Refusal>;

/// A request and where its answer goes.
#[derive(Debug)]
pub(super) enum Command {
    View(oneshot::Sender<PoolView>),
    Metrics(oneshot::Sender<PoolMetrics>),
    NotReady(oneshot::Sender<Option<String>>),
    Moves(usize, oneshot::Sender<Vec<Move>>),
    Plan(oneshot::Sender<PlanView>),
    AddNode(NodeSpec, oneshot::Sender<Answer<NodeView>>),
    RemoveNode {
        id: String,
        force: bool,
        reply: oneshot::Sender<Answer<()>>,
    },
    SetState {
        id: String,
        state: NodeState,
        reply: oneshot::Sender<Answer<NodeView>>,
    },
    Report {
        id: String,
        signals: Signals,
        reply: oneshot::Sender<Answer<()>>,
    },
    AgentReport {
        id: String,
        report: AgentReport,
        reply: oneshot::Sender<Answer<AgentReceipt>>,
    },
    Series {
        id: String,
        filter: SeriesFilter,
        reply: oneshot::Sender<Answer<SeriesView>>,
    },
    Affinity(String, oneshot::Sender<AffinityView>),
    Pin {
        key: String,
        pin: PinRequest,
        reply: oneshot::Sender<Answer<AffinityView>>,
    },
    Unpin(String, oneshot::Sender<Answer<()>>),
    ChangeNode {
        id: String,
        change: NodeChange,
        reply: oneshot::Sender<Answer<NodeView>>,
    },
    ResetNode(String, oneshot::Sender<Answer<NodeView>>),
    Entries(EntryFilter, oneshot::Sender<Vec<Override>>),
    Clear(EntryFilter, oneshot::Sender<Answer<u64>>),
    PinSession {
        session: SessionId,
        pin: PinRequest,
        reply: oneshot::Sender<Answer<AffinityView>>,
    },
    Info(oneshot::Sender<PoolInfo>),
    Configure(Box<NewSettings>, oneshot::Sender<Result<(), crate::Error>>),
    /// End the pool's task.
    End,
    Migrate {
        connection: Box<ConnectionInfo>,
        target: NodeId,
        reply: oneshot::Sender<Answer<Move>>,
    },
}

/// A pool's task, from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PoolHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) events: mpsc::Sender<IngressEvent>,
}

impl PoolHandle {
    pub(crate) async fn view(&self) -> Answer<PoolView> {
        self.ask(Command::View).await
    }

    pub(crate) async fn metrics(&self) -> Answer<PoolMetrics> {
        self.ask(Command::Metrics).await
    }

    /// What keeps the pool from serving, if anything.
    pub(crate) async fn not_ready(&self) -> Answer<Option<String>> {
        self.ask(Command::NotReady).await
    }

    /// The newest moves, newest first.
    pub(crate) async fn moves(&self, limit: usize) -> Answer<Vec<Move>> {
        self.ask(|reply| Command::Moves(limit, reply)).await
    }

    pub(crate) async fn plan(&self) -> Answer<PlanView> {
        self.ask(Command::Plan).await
    }

    pub(crate) async fn add_node(&self, spec: NodeSpec) -> Answer<NodeView> {
        self.ask(|reply| Command::AddNode(spec, reply)).await?
    }

    pub(crate) async fn remove_node(&self, id: String, force: bool) -> Answer<()> {
        self.ask(|reply| Command::RemoveNode { id, force, reply }).await?
    }

    pub(crate) async fn set_state(&self, id: String, state: NodeState) -> Answer<NodeView> {
        self.ask(|reply| Command::SetState { id, state, reply }).await?
    }

    pub(crate) async fn report(&self, id: String, signals: Signals) -> Answer<()> {
        self.ask(|reply| Command::Report { id, signals, reply }).await?
    }

    /// What a node's agent measured.
    pub(crate) async fn agent_report(&self, id: String, report: AgentReport) -> Answer<AgentReceipt> {
        self.ask(|reply| Command::AgentReport { id, report, reply })
            .await?
    }

    /// What was measured of a node before.
    pub(crate) async fn series(&self, id: String, filter: SeriesFilter) -> Answer<SeriesView> {
        self.ask(|reply| Command::Series { id, filter, reply }).await?
    }

    pub(crate) async fn affinity(&self, key: String) -> Answer<AffinityView> {
        self.ask(|reply| Command::Affinity(key, reply)).await
    }

    pub(crate) async fn pin(&self, key: String, pin: PinRequest) -> Answer<AffinityView> {
        self.ask(|reply| Command::Pin { key, pin, reply }).await?
    }

    pub(crate) async fn unpin(&self, key: String) -> Answer<()> {
        self.ask(|reply| Command::Unpin(key, reply)).await?
    }

    pub(crate) async fn migrate(&self, connection: ConnectionInfo, target: NodeId) -> Answer<Move> {
        let connection = Box::new(connection);
        self.ask(|reply| Command::Migrate {
            connection,
            target,
            reply,
        })
        .await?
    }

    pub(crate) async fn change_node(&self, id: String, change: NodeChange) -> Answer<NodeView> {
        self.ask(|reply| Command::ChangeNode { id, change, reply })
            .await?
    }

    pub(crate) async fn reset_node(&self, id: String) -> Answer<NodeView> {
        self.ask(|reply| Command::ResetNode(id, reply)).await?
    }

    /// Keys that were placed one by one.
    pub(crate) async fn entries(&self, filter: EntryFilter) -> Answer<Vec<Override>> {
        self.ask(|reply| Command::Entries(filter, reply)).await
    }

    /// Gives keys that were placed one by one back to their buckets; how many.
    pub(crate) async fn clear(&self, filter: EntryFilter) -> Answer<u64> {
        self.ask(|reply| Command::Clear(filter, reply)).await?
    }

    pub(crate) async fn pin_session(&self, session: SessionId, pin: PinRequest) -> Answer<AffinityView> {
        self.ask(|reply| Command::PinSession { session, pin, reply })
            .await?
    }

    pub(crate) async fn info(&self) -> Answer<PoolInfo> {
        self.ask(Command::Info).await
    }

    /// Takes new settings over, from the next round on.
    pub(crate) async fn configure(&self, new: NewSettings) -> Result<(), crate::Error> {
        let answer = self.ask(|reply| Command::Configure(Box::new(new), reply)).await;
        answer.unwrap_or_else(|refusal| Err(crate::Error::Pool(refusal.to_string())))
    }

    /// Ends the pool's loop. What it wrote stays.
    pub(crate) async fn end(&self) {
        let _ = self.commands.send(Command::End).await;
    }

    /// Hands on what the ingress told. Waits where the pool is behind.
    pub(crate) async fn tell(&self, event: IngressEvent) {
        // An error means that the pool has ended, and nobody needs to know any more.
        let _ = self.events.send(event).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Answer<T> {
        let ended = || Refusal::Unavailable("the pool's loop has ended; the log has more".into());
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| ended())?;
        // A panic drops the reply; the pool itself goes on.
        answer
            .await
            .map_err(|_| Refusal::Unavailable("the request failed inside; the log has more".into()))
    }
}
