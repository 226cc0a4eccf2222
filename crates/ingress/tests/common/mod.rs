//! A data plane over lab backends, with the test in control's place.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod raw;
pub mod state;
pub mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use foreshift_ingress::{Handle, SessionState, Start};
use foreshift_lab::{Backend, BackendOptions};
use foreshift_meta::{Meta, Txn};
use foreshift_placement::{Secret, session_id};
use foreshift_wire::{
    Config, ConnectionFilter, ConnectionInfo, IngressEvent, MoveFailure, MoveId, NodeId, NodeRecord,
    NodeSpec, NodeState, Override, PartitionPattern, PoolName, PoolReport, SessionId,
};
use tokio::{sync::mpsc, time::timeout};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Cluster {
    pub backends: Vec<Option<Backend>>,
    pub ingress: Handle,
    pub meta: Meta,
    pub pool: PoolName,
    pub secret: Secret,
    pub events: mpsc::UnboundedReceiver<IngressEvent>,
    /// As it was started.
    pub config: Config,
    next_move: u64,
}

/// Lines for the pool, so that its nodes are asked for state.
pub const HOOKS: &str = "handoff_path = \"/handoff\"\nresume_path = \"/resume\"\n";

pub fn node_id(index: usize) -> NodeId {
    NodeId::new(&format!("n{index}")).expect("a plain name")
}

impl Cluster {
    /// `nodes` backends behind one listener; `pool` are further lines of the pool's table.
    pub async fn start(nodes: usize, pool: &str) -> Self {
        Self::start_with(nodes, pool, "").await
    }

    /// As [`Self::start`], with `rest` at the end of the configuration.
    pub async fn start_with(nodes: usize, pool: &str, rest: &str) -> Self {
        Self::start_like(nodes, pool, rest, &BackendOptions::default()).await
    }

    /// As [`Self::start_with`], with backends of another kind.
    pub async fn start_like(nodes: usize, pool: &str, rest: &str, options: &BackendOptions) -> Self {
        let mut backends = Vec::new();
        for index in 0..nodes {
            let options = BackendOptions {
                name: node_id(index).to_string(),
                ..options.clone()
            };
            backends.push(Backend::start(options).await.expect("a free port"));
        }
        let addresses: Vec<_> = backends.iter().map(Backend::address).collect();
        let mut cluster = Self::over(&addresses, pool, rest).await;
        cluster.backends = backends.into_iter().map(Some).collect();
        cluster
    }

    /// Over nodes that the test runs itself.
    pub async fn over(addresses: &[SocketAddr], pool: &str, rest: &str) -> Self {
        Self::listening("", addresses, pool, rest).await
    }

    /// As [`Self::over`], with more keys of the listener.
    pub async fn listening(listener: &str, addresses: &[SocketAddr], pool: &str, rest: &str) -> Self {
        Self::given(listener, addresses, (pool, rest), &[], Start::default()).await
    }

    /// Over nodes that require these partitions of a session's state.
    pub async fn carrying(
        listener: &str,
        addresses: &[SocketAddr],
        pool: &str,
        required: &[&str],
        state: Arc<dyn SessionState>,
    ) -> Self {
        let start = Start {
            state: Some(state),
            ..Start::default()
        };
        Self::given(listener, addresses, (pool, "[session]\n"), required, start).await
    }

    async fn given(
        listener: &str,
        addresses: &[SocketAddr],
        (pool, rest): (&str, &str),
        required: &[&str],
        start: Start,
    ) -> Self {
        let affinity = match listener.contains("affinity") || listener.contains("\"tcp\"") {
            true => "",
            false => "affinity = [{ header = \"x-user\" }, { source_address = 32 }]",
        };
        let text = format!(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n{listener}\n{affinity}\n\
             [[pool]]\nname = \"app\"\n{pool}\n{rest}\n"
        );
        let mut config = Config::parse(&text).expect("the test's configuration");
        config.ingress.workers.get_or_insert(2);
        let meta = Meta::in_memory();
        let pool = PoolName::new("app").expect("a plain name");
        let mut txn = Txn::new();
        for (index, address) in addresses.iter().enumerate() {
            let mut record = record(index, *address, NodeState::Ready);
            let patterns = required
                .iter()
                .map(|p| PartitionPattern::new(p).expect("a pattern"));
            record.spec.required_partitions = patterns.collect();
            txn = txn.put_node(&pool, &record);
        }
        meta.commit(txn).await.expect("nothing to conflict with");
        let (ingress, events) = foreshift_ingress::start_with(&config, meta.clone(), start)
            .await
            .expect("it starts");
        let secret = foreshift_meta::routes::secret(&meta, [0; 16])
            .await
            .expect("the ingress has made one");
        let secret = Secret::from_bytes(secret);
        Self {
            backends: Vec::new(),
            ingress,
            meta,
            pool,
            secret,
            events,
            config,
            next_move: 0,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.ingress.addresses()[0].1
    }

    /// Of the listener with this name.
    pub fn address_of(&self, listener: &str) -> SocketAddr {
        let all = self.ingress.addresses();
        all.iter()
            .find(|(name, _)| name == listener)
            .expect("a listener")
            .1
    }

    pub fn backend(&self, index: usize) -> &Backend {
        self.backends[index].as_ref().expect("not killed")
    }

    pub fn session(&self, key: &str) -> SessionId {
        session_id(&self.secret, &self.pool, key.as_bytes())
    }

    /// Commits that `key` lives on a node from now on, as a plan does.
    pub async fn order(&mut self, key: &str, from: usize, to: usize) -> MoveId {
        self.next_move += 1;
        let move_id = MoveId(self.next_move);
        let record = Override {
            session: self.session(key),
            node: node_id(to),
            moving_from: Some(node_id(from)),
            move_id: Some(move_id),
            expires_ms: None,
            pinned: false,
        };
        self.meta
            .commit(Txn::new().put_override(&self.pool, &record))
            .await
            .expect("no compare, no conflict");
        move_id
    }

    /// Commits how a hand-over ended, as control does.
    pub async fn settle(&self, session: SessionId, node: &NodeId) {
        let record = Override {
            session,
            node: node.clone(),
            moving_from: None,
            move_id: None,
            expires_ms: None,
            pinned: false,
        };
        self.meta
            .commit(Txn::new().put_override(&self.pool, &record))
            .await
            .expect("no compare, no conflict");
    }

    /// The next event that `wanted` picks.
    pub async fn event<T>(&mut self, mut wanted: impl FnMut(IngressEvent) -> Option<T>) -> T {
        let next = async {
            loop {
                let event = self.events.recv().await.expect("the data plane runs");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("the event comes")
    }

    /// How a move ended: the pauses, or why it failed.
    pub async fn outcome(&mut self, id: MoveId) -> Result<Vec<u64>, MoveFailure> {
        self.event(|event| match event {
            IngressEvent::HandedOver {
                move_id: Some(other),
                pauses_us,
                failure,
                ..
            } if other == id => {
                let pauses = pauses_us.into_iter().map(|(_, pause)| pause).collect();
                Some(failure.map_or(Ok(pauses), Err))
            }
            _ => None,
        })
        .await
    }

    /// Orders a move and waits for its end; settles it as control would.
    pub async fn migrate(&mut self, key: &str, from: usize, to: usize) -> Result<Vec<u64>, MoveFailure> {
        let id = self.order(key, from, to).await;
        let outcome = self.outcome(id).await;
        let at = if outcome.is_ok() { to } else { from };
        self.settle(self.session(key), &node_id(at)).await;
        outcome
    }

    /// Changes a node's state, as control's health checks and operators do.
    pub async fn set_state(&self, index: usize, address: SocketAddr, state: NodeState) {
        let record = record(index, address, state);
        self.meta
            .commit(Txn::new().put_node(&self.pool, &record))
            .await
            .expect("no compare, no conflict");
    }

    /// Changes what is configured of a node.
    pub async fn set_record(&self, record: &NodeRecord) {
        self.meta
            .commit(Txn::new().put_node(&self.pool, record))
            .await
            .expect("no compare, no conflict");
    }

    /// Asks for reports until one of them says what is `wanted` of the pool.
    pub async fn report_that(&self, wanted: impl Fn(&PoolReport) -> bool) -> PoolReport {
        let asking = async {
            loop {
                let report = self.ingress.report().await.pools.swap_remove(0);
                if wanted(&report) {
                    return report;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, asking).await.expect("the report comes")
    }

    pub async fn connections_of(&self, key: &str) -> Vec<ConnectionInfo> {
        self.ingress
            .connections(ConnectionFilter {
                key: Some(key.into()),
                ..ConnectionFilter::default()
            })
            .await
    }

    /// The node that serves a key's first connection.
    pub async fn home(&self, key: &str) -> usize {
        let found = self.connections_of(key).await;
        let node = &found.first().expect("an open connection").node;
        node.as_str()[1..].parse().expect("as node_id names them")
    }
}

pub fn record(index: usize, address: SocketAddr, observed: NodeState) -> NodeRecord {
    NodeRecord {
        spec: NodeSpec {
            id: node_id(index),
            address: address.to_string(),
            zone: String::new(),
            weight: 1.0,
            maxconn: None,
            capacity: foreshift_wire::Capacity::default(),
            required_partitions: Vec::new(),
            state: NodeState::Ready,
            runtime: foreshift_wire::Runtime::default(),
        },
        observed,
        reason: None,
        ejected: None,
        warming: None,
        agent: Default::default(),
    }
}
