//! Nodes that are left out because they fail, and nodes that get their keys little by little because they are new.
//!
//! Both are written to the nodes' records, so that every ingress goes by the same, and a restart goes on with it.

use std::time::Duration;

use foreshift_wire::{Event, NodeId, NodeRecord, NodeState, PoolReport, Warming};

use super::{routes::Edit, state::Pool};
use crate::{
    clock::now_ms,
    metrics::count,
    outlier::{Change, Judge},
};

/// A new node's share rises in steps, since each makes a new map and hands sessions over.
const STEP: f64 = 0.05;

impl Pool {
    /// Takes over what metadata says, and settings that changed.
    pub(super) fn renew_outliers(&mut self) {
        self.outliers = self.settings.outlier.as_ref().map(|settings| {
            let mut judge = Judge::new(settings);
            for record in self.routes.nodes() {
                if let Some(ejected) = &record.ejected {
                    judge.restore(&record.spec.id, ejected);
                }
            }
            judge
        });
    }

    pub(super) fn observe_outliers(&mut self, report: &PoolReport) {
        if let Some(judge) = &mut self.outliers {
            for node in &report.nodes {
                judge.observe(&node.node, &node.resilience);
            }
        }
    }

    /// Ejects, takes back, and lets new nodes have more of their keys.
    pub(super) async fn judge_nodes(&mut self) -> Result<(), foreshift_meta::Error> {
        let now = now_ms();
        let ready: Vec<NodeId> = self
            .routes
            .nodes()
            .filter(|record| record.observed == NodeState::Ready)
            .map(|record| record.spec.id.clone())
            .collect();
        let changes = self
            .outliers
            .as_mut()
            .map_or_else(Vec::new, |judge| judge.judge(now, &ready));
        let before: Vec<NodeRecord> = self.routes.nodes().cloned().collect();
        let mut edit = Edit::default();
        for old in before {
            let record = self.renewed(&old, &changes, now);
            if record != old {
                edit.set_nodes.push(record);
            }
        }
        let changed = edit.set_nodes.clone();
        let before: Vec<_> = changed.iter().map(|r| self.ejection_of(&r.spec.id)).collect();
        self.commit(edit).await?;
        for (record, before) in changed.into_iter().zip(before) {
            if record.ejected.is_some() != before {
                self.tell_ejection(record);
            }
        }
        Ok(())
    }

    fn ejection_of(&self, id: &NodeId) -> bool {
        self.routes
            .node(id)
            .is_some_and(|record| record.ejected.is_some())
    }

    fn renewed(&self, old: &NodeRecord, changes: &[Change], now: u64) -> NodeRecord {
        let mut record = old.clone();
        if self.outliers.is_none() || old.observed != NodeState::Ready {
            record.ejected = None;
        }
        for change in changes {
            match change {
                Change::Eject(id, ejected) if *id == old.spec.id => record.ejected = Some(ejected.clone()),
                Change::Return(id) if *id == old.spec.id => record.ejected = None,
                Change::Eject(..) | Change::Return(_) => {}
            }
        }
        record.warming = old.warming.as_ref().and_then(|warming| self.warmer(warming, now));
        record
    }

    /// How far a new node has come by now; `None` where it has all its keys.
    fn warmer(&self, warming: &Warming, now: u64) -> Option<Warming> {
        let slow = self.settings.slow_start?;
        let share = slow.share(Duration::from_millis(now.saturating_sub(warming.since_ms)));
        let rises = share - warming.share >= STEP;
        (share < 1.0).then_some(Warming {
            since_ms: warming.since_ms,
            share: if rises { share } else { warming.share },
        })
    }

    /// Where a node that becomes ready begins. All at once where no other node has all its keys yet: then there is
    /// nobody to spare it.
    pub(super) fn begins(&self, id: &NodeId) -> Option<Warming> {
        let slow = self.settings.slow_start?;
        let is_warm = |record: &NodeRecord| record.observed == NodeState::Ready && record.warming.is_none();
        let others = self
            .routes
            .nodes()
            .any(|record| record.spec.id != *id && is_warm(record));
        let share = slow.share(Duration::ZERO);
        (others && share < 1.0).then(|| Warming {
            since_ms: now_ms(),
            share,
        })
    }

    fn tell_ejection(&mut self, record: NodeRecord) {
        let (pool, node, ejected) = (self.settings.name.clone(), record.spec.id, record.ejected);
        match &ejected {
            Some(ejection) => {
                count(&mut self.counters.ejections, "ejected");
                let (reason, times) = (&ejection.reason, ejection.times);
                tracing::warn!(%pool, %node, %reason, times, until_ms = ejection.until_ms, "node ejected");
            }
            None => {
                count(&mut self.counters.ejections, "returned");
                tracing::info!(%pool, %node, "node takes part again");
            }
        }
        self.bus.tell(Event::Outlier {
            at_ms: now_ms(),
            pool,
            node,
            ejected,
        });
    }
}
