//! Asks each node again and again whether it is well.
//!
//! One small task a node, so that a node that stalls delays nobody else's check; a semaphore bounds the checks
//! that run at once, and jitter spreads them, so that a thousand nodes make no bursts. A node that the ingress
//! suspects is checked at once.

mod judge;
mod probe;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use foreshift_tls::{NodeTls, Watched};
use foreshift_wire::{HealthCheck, NodeId, Pool};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::AbortHandle,
};

use crate::Error;

pub(crate) use judge::{Judge, Verdict, observed};
use probe::Probe;

/// Checks of one pool that run at once.
const CHECKS_AT_ONCE: usize = 64;
/// Share of a pause by which it is made shorter or longer.
const JITTER: f64 = 0.1;
/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the checks of a node say from now on.
#[derive(Debug)]
pub(crate) struct HealthChange {
    pub(crate) node: NodeId,
    /// Tells apart the checks of a node from those of an earlier one with the same id.
    pub(crate) epoch: u64,
    pub(crate) verdict: Verdict,
    /// The last check's failure, where it failed.
    pub(crate) reason: Option<String>,
}

/// Reads what the checks of a pool's nodes need where those speak TLS.
pub(crate) fn open_tls(pool: &Pool) -> Result<Option<Watched<NodeTls>>, Error> {
    let opened = pool
        .tls
        .as_ref()
        .map(|tls| foreshift_tls::pool(tls, SystemTime::now()));
    let opened = opened.transpose().map_err(|source| Error::Tls {
        pool: pool.name.clone(),
        source: Box::new(source),
    })?;
    Ok(opened.map(|opened| opened.watched))
}

/// The checks of one pool's nodes. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Checker {
    check: HealthCheck,
    probe: Probe,
    at_once: Arc<Semaphore>,
    changes: mpsc::UnboundedSender<HealthChange>,
    nodes: HashMap<NodeId, Checked>,
    epochs: u64,
}

#[derive(Debug)]
struct Checked {
    address: SocketAddr,
    epoch: u64,
    suspect: Arc<Notify>,
    task: AbortHandle,
}

impl Checker {
    /// A checker of nothing yet. Its channel is not bounded, and need not be: a node's verdict changes at most
    /// once a check.
    pub(crate) fn new(
        check: HealthCheck,
        pool: &Pool,
        tls: Option<Watched<NodeTls>>,
    ) -> (Self, mpsc::UnboundedReceiver<HealthChange>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let probe = Probe {
            path: check.path.clone(),
            protocol: pool.upstream_protocol,
            proxy: pool.send_proxy_protocol,
            tls: tls.map(Arc::new),
            timeout: check.timeout.get(),
        };
        if let Some(tls) = &probe.tls {
            tokio::spawn(look_for_ever(Arc::downgrade(tls)));
        }
        let at_once = Arc::new(Semaphore::new(CHECKS_AT_ONCE));
        (
            Self {
                check,
                probe,
                at_once,
                changes,
                nodes: HashMap::new(),
                epochs: 0,
            },
            receiver,
        )
    }

    /// Begins to check `node`, from `verdict` on. Goes on as before where it is checked already.
    pub(crate) fn watch(&mut self, node: &NodeId, address: SocketAddr, verdict: Verdict) {
        if self
            .nodes
            .get(node)
            .is_some_and(|checked| checked.address == address)
        {
            return;
        }
        self.forget(node);
        self.epochs += 1;
        let suspect = Arc::new(Notify::new());
        let task = tokio::spawn(check_for_ever(Checks {
            node: node.clone(),
            epoch: self.epochs,
            address,
            judge: Judge::new(verdict),
            check: self.check.clone(),
            probe: self.probe.clone(),
            at_once: self.at_once.clone(),
            suspect: suspect.clone(),
            changes: self.changes.clone(),
        }))
        .abort_handle();
        let checked = Checked {
            address,
            epoch: self.epochs,
            suspect,
            task,
        };
        self.nodes.insert(node.clone(), checked);
    }

    /// Ends the checks of `node`.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        if let Some(checked) = self.nodes.remove(node) {
            checked.task.abort();
        }
    }

    /// Checks `node` at once.
    pub(crate) fn suspect(&self, node: &NodeId) {
        if let Some(checked) = self.nodes.get(node) {
            checked.suspect.notify_one();
        }
    }

    /// False for a change that was under way when its node was forgotten.
    pub(crate) fn is_current(&self, change: &HealthChange) -> bool {
        self.nodes
            .get(&change.node)
            .is_some_and(|checked| checked.epoch == change.epoch)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        for checked in self.nodes.values() {
            checked.task.abort();
        }
    }
}

/// Follows the files that TLS needs until nothing is checked any more. What is wrong with them is the ingress's to tell.
async fn look_for_ever(tls: Weak<Watched<NodeTls>>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(tls) = tls.upgrade() else { return };
        let _ = tokio::task::spawn_blocking(move || tls.look(SystemTime::now())).await;
    }
}

struct Checks {
    node: NodeId,
    epoch: u64,
    address: SocketAddr,
    judge: Judge,
    check: HealthCheck,
    probe: Probe,
    at_once: Arc<Semaphore>,
    suspect: Arc<Notify>,
    changes: mpsc::UnboundedSender<HealthChange>,
}

async fn check_for_ever(mut checks: Checks) {
    // The first checks of many nodes are spread over their first pause.
    let mut pause = checks.judge.pause(&checks.check).mul_f64(rand::random::<f64>());
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = checks.suspect.notified() => {}
        }
        let Ok(permit) = checks.at_once.acquire().await else {
            return;
        };
        let result = checks.probe.run(checks.address).await;
        drop(permit);
        if let Some(verdict) = checks.judge.on(result.is_ok(), &checks.check) {
            let reason = result.err().map(|failure| format!("health check: {failure}"));
            let change = HealthChange {
                node: checks.node.clone(),
                epoch: checks.epoch,
                verdict,
                reason,
            };
            if checks.changes.send(change).is_err() {
                return;
            }
        }
        pause = jittered(checks.judge.pause(&checks.check));
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0))
}
