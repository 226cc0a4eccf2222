//! Asks nodes how they are: their agents, their pages of metrics, their ORCA service.
//!
//! One small task a node and way, so that a node that stalls delays nobody else's reports; jitter spreads them. What they hear goes
//! to the pool's task over a bounded channel: where that is behind, they wait, and so ask less often. Health checks are apart, as
//! they judge and these only tell.

mod agent_check;
mod orca;
mod scrape;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use foreshift_telemetry::{Said, agent_check::AgentReply};
use foreshift_wire::{AgentCheck, NodeId, Orca, OwnLoad, PrometheusScrape, SourceKind};
use tokio::{sync::mpsc, task::AbortHandle};

/// Reports that wait for the pool's task; more wait where they are made.
const WAITING_MAX: usize = 1_024;
/// Share of a pause by which it is made shorter or longer.
const JITTER: f64 = 0.1;
/// A report that is asked for counts until so many more have failed to come.
const MISSED_MAX: u32 = 3;
/// But never for less.
const COUNTS_FOR_MIN: Duration = Duration::from_secs(5);

/// What was heard of a node.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) node: NodeId,
    /// Tells apart the reports of a node from those of an earlier one with the same id.
    epoch: u64,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Its load.
    Said(Said),
    /// Its agent's line.
    Agent(AgentReply),
    /// Nothing, and why.
    Failed {
        kind: SourceKind,
        stale_after: Duration,
        error: String,
    },
}

/// Those who ask one pool's nodes. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Collector {
    asks: Box<Asks>,
    heard: mpsc::Sender<Heard>,
    nodes: HashMap<NodeId, Asked>,
    epochs: u64,
}

/// What a pool's nodes are asked.
#[derive(Debug, Clone, PartialEq)]
struct Asks {
    orca: Option<Orca>,
    agent_check: Option<AgentCheck>,
    prometheus: Option<Box<PrometheusScrape>>,
}

impl Asks {
    fn of(settings: &foreshift_wire::Pool) -> Self {
        Self {
            orca: settings.orca.clone(),
            agent_check: settings.agent_check.clone(),
            prometheus: settings.prometheus.clone(),
        }
    }
}

#[derive(Debug)]
struct Asked {
    address: SocketAddr,
    epoch: u64,
    tasks: Vec<AbortHandle>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Collector {
    /// Of a pool whose nodes are not known yet.
    pub(crate) fn new(settings: &foreshift_wire::Pool) -> (Self, mpsc::Receiver<Heard>) {
        let (heard, receiver) = mpsc::channel(WAITING_MAX);
        let collector = Self {
            asks: Box::new(Asks::of(settings)),
            heard,
            nodes: HashMap::new(),
            epochs: 0,
        };
        (collector, receiver)
    }

    /// Begins to ask `node`. Goes on as before where it is asked already.
    pub(crate) fn watch(&mut self, node: &NodeId, address: SocketAddr) {
        if self.nodes.get(node).is_some_and(|asked| asked.address == address) {
            return;
        }
        self.epochs += 1;
        let teller = Teller {
            node: node.clone(),
            epoch: self.epochs,
            heard: self.heard.clone(),
        };
        let asked = Asked {
            address,
            epoch: self.epochs,
            tasks: self.tasks(address, &teller),
        };
        self.nodes.insert(node.clone(), asked);
    }

    fn tasks(&self, address: SocketAddr, teller: &Teller) -> Vec<AbortHandle> {
        let at = |port: Option<u16>| SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
        let mut tasks = Vec::new();
        if let Some(check) = &self.asks.agent_check {
            let task = agent_check::run(at(Some(check.port)), check.clone(), teller.clone());
            tasks.push(tokio::spawn(task).abort_handle());
        }
        if let Some(settings) = &self.asks.prometheus {
            let task = scrape::run(at(settings.port), settings.clone(), teller.clone());
            tasks.push(tokio::spawn(task).abort_handle());
        }
        if let Some(settings) = &self.asks.orca
            && let Some(interval) = settings.out_of_band
        {
            let task = orca::run(
                at(settings.port),
                interval.get(),
                settings.metrics.clone(),
                teller.clone(),
            );
            tasks.push(tokio::spawn(task).abort_handle());
        }
        tasks
    }

    /// Ends the asking of `node`.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.nodes.remove(node);
    }

    /// Asks in another way from now on, where the settings changed.
    pub(crate) fn configure(&mut self, settings: &foreshift_wire::Pool) {
        let asks = Asks::of(settings);
        if *self.asks == asks {
            return;
        }
        *self.asks = asks;
        for (node, asked) in std::mem::take(&mut self.nodes) {
            self.watch(&node, asked.address);
        }
    }

    /// False for what was under way when its node was forgotten.
    pub(crate) fn is_current(&self, heard: &Heard) -> bool {
        self.nodes
            .get(&heard.node)
            .is_some_and(|asked| asked.epoch == heard.epoch)
    }
}

/// How a task tells what it heard of its node.
#[derive(Debug, Clone)]
struct Teller {
    node: NodeId,
    epoch: u64,
    heard: mpsc::Sender<Heard>,
}

impl Teller {
    /// False where nobody listens any more.
    async fn tell(&self, what: What) -> bool {
        let heard = Heard {
            node: self.node.clone(),
            epoch: self.epoch,
            what,
        };
        self.heard.send(heard).await.is_ok()
    }

    async fn said(&self, kind: SourceKind, stale_after: Duration, load: OwnLoad) -> bool {
        self.tell(What::Said(Said::now(kind, stale_after, load))).await
    }

    async fn failed(&self, kind: SourceKind, stale_after: Duration, error: impl ToString) -> bool {
        let error = error.to_string();
        self.tell(What::Failed {
            kind,
            stale_after,
            error,
        })
        .await
    }
}

/// For how long what is asked for every `interval` counts.
pub(crate) fn counts_for(interval: Duration) -> Duration {
    interval.saturating_mul(MISSED_MAX).max(COUNTS_FOR_MIN)
}

/// The first asking of many nodes is spread over the interval.
async fn first_pause(interval: Duration) {
    tokio::time::sleep(interval.mul_f64(rand::random::<f64>())).await;
}

async fn pause(interval: Duration) {
    tokio::time::sleep(interval.mul_f64(1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0))).await;
}
