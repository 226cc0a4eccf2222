//! Takes new settings over while the pool runs.
//!
//! What is new applies from the next round on. Forecasts begin anew only where the new settings ask for other ones; checks
//! begin anew, each from what its node was found to be. A node that left the configuration is drained, and removed once
//! nothing is left on it; one that comes back meanwhile stays.

use std::collections::BTreeSet;

use foreshift_tls::{NodeTls, Watched};
use foreshift_wire::{ForecastConfig, NodeId, NodeRecord, NodeSpec, NodeState, Pool as Settings};

use super::{
    adopt::{configured_key, merged},
    routes::Edit,
    service::HealthIn,
    state::{Pool, predictor_options},
};
use crate::{
    Error,
    health::{Checker, Verdict, open_tls},
    learned::Learned,
    pool::models::Models,
};

/// What a pool is to be from now on, read and checked.
pub(crate) struct NewSettings {
    pub(crate) settings: Settings,
    /// The models to forecast with, where they are other ones than now.
    pub(crate) models: Option<Models>,
    /// What its nodes are checked with, where they speak TLS.
    pub(crate) tls: Option<Watched<NodeTls>>,
}

impl std::fmt::Debug for NewSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings.name.fmt(f)
    }
}

impl NewSettings {
    /// Reads the pool's model where it is forecast in another way than `before`. `index`: its place in the file.
    pub(crate) fn read(
        index: usize,
        settings: &Settings,
        forecast: &ForecastConfig,
        before: Option<(&Settings, &ForecastConfig)>,
    ) -> Result<Self, Error> {
        let same = before.is_some_and(|(old, general)| {
            *general == *forecast
                && old.forecast == settings.forecast
                && old.check_interval == settings.check_interval
                && old.trigger_quantile.to_bits() == settings.trigger_quantile.to_bits()
        });
        let models = match same {
            true => None,
            false => {
                let learned =
                    Learned::read(settings, forecast).map_err(|source| Error::Model { index, source })?;
                let options = predictor_options(settings, forecast);
                let models = Models::new(options, learned).map_err(|source| Error::Forecast {
                    pool: settings.name.clone(),
                    source,
                })?;
                Some(models)
            }
        };
        Ok(Self {
            settings: settings.clone(),
            models,
            tls: open_tls(settings)?,
        })
    }
}

impl Pool {
    /// Takes the settings over. Where health is checked in another way, what the new checks say comes from the receiver.
    ///
    /// On an error nothing but the nodes is as it was: what could fail was done before, except writing them.
    pub(super) async fn configure(&mut self, new: NewSettings) -> Result<Option<HealthIn>, Error> {
        let before = std::mem::replace(&mut self.settings, new.settings);
        if before.outlier != self.settings.outlier {
            self.renew_outliers();
        }
        if let Some(models) = new.models {
            self.models = models;
            for (stagger, node) in self.nodes.values_mut().enumerate() {
                node.predictor = self.models.predictor(stagger as u64);
                (node.forecast, node.predicted) = (None, None);
            }
        }
        if self.planner.configure(&self.settings) {
            self.remember_recent();
        }
        self.routes.rebalance(self.settings.balance_factor);
        let checks_differ = before.health != self.settings.health
            || before.upstream_protocol != self.settings.upstream_protocol
            || before.send_proxy_protocol != self.settings.send_proxy_protocol
            || before.tls != self.settings.tls;
        let health = checks_differ.then(|| self.check_anew(new.tls));
        self.ask_anew(&before);
        self.take_nodes(&before).await?;
        Ok(health)
    }

    /// Ends all checks and begins those that the settings ask for.
    fn check_anew(&mut self, tls: Option<Watched<NodeTls>>) -> HealthIn {
        let Some(check) = &self.settings.health else {
            self.checker = None;
            return None;
        };
        let (checker, health) = Checker::new(check.clone(), &self.settings, tls);
        self.checker = Some(checker);
        let specs: Vec<NodeSpec> = self.routes.nodes().map(|record| record.spec.clone()).collect();
        for spec in specs {
            self.track(&spec, Verdict::Unknown);
        }
        Some(health)
    }

    /// Brings the nodes to what the configuration says.
    async fn take_nodes(&mut self, before: &Settings) -> Result<(), foreshift_meta::Error> {
        let mut edit = Edit::default();
        for config in self.settings.node.clone() {
            let former = self.routes.node(&config.id).cloned();
            let mut spec = merged(&config, former.as_ref());
            if self.leaving.remove(&spec.id) {
                spec.state = NodeState::Ready;
            }
            if former.as_ref().is_some_and(|f| f.spec.address != spec.address)
                && let Some(node) = self.nodes.get_mut(&spec.id)
            {
                // What was found of the node at its old address says nothing of the new one.
                node.verdict = Verdict::Unknown;
            }
            self.track(&spec, Verdict::Unknown);
            edit.set_nodes.push(self.record(spec));
        }
        let left = before.node.iter().map(|node| &node.id);
        let left: Vec<NodeId> = left.filter(|id| !self.is_configured(id)).cloned().collect();
        for id in left {
            if let Some(record) = self.routes.node(&id).cloned() {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.told_empty = false;
                }
                self.leaving.insert(id);
                let state = NodeState::Draining;
                edit.set_nodes
                    .push(self.record(NodeSpec { state, ..record.spec }));
            }
        }
        // Without checks a node may be ready that was not; with them, all others may have changed as well.
        let others: Vec<NodeRecord> = self.routes.nodes().cloned().collect();
        for record in others {
            if !edit.set_nodes.iter().any(|set| set.spec.id == record.spec.id) {
                edit.set_nodes.push(self.record(record.spec));
            }
        }
        edit.set_nodes
            .retain(|record| self.routes.node(&record.spec.id) != Some(record));
        self.commit(edit).await?;
        self.note_configured().await
    }

    pub(super) fn is_configured(&self, id: &NodeId) -> bool {
        self.settings.node.iter().any(|node| node.id == *id)
    }

    /// Notes which nodes come from the configuration, those that are on their way out included: a start removes them.
    pub(super) async fn note_configured(&mut self) -> Result<(), foreshift_meta::Error> {
        let configured = self.settings.node.iter().map(|node| &node.id);
        let all: BTreeSet<&NodeId> = configured.chain(&self.leaving).collect();
        let list = serde_json::to_vec(&all).expect("a list of names is always JSON");
        let txn = foreshift_meta::Txn::new().put(configured_key(&self.settings.name), list);
        self.routes.meta().clone().commit(txn).await.map(drop)
    }

    /// Removes nodes that left the configuration and have nothing left to do.
    pub(super) async fn remove_left(&mut self) -> Result<(), foreshift_meta::Error> {
        if self.leaving.is_empty() {
            return Ok(());
        }
        let ids: Vec<NodeId> = self.leaving.iter().cloned().collect();
        let before = self.leaving.len();
        for id in ids {
            let Some(node) = self.nodes.get(&id) else {
                self.leaving.remove(&id);
                continue;
            };
            let empty = node.told_empty && self.routes.overrides_on(&id) == 0;
            if empty && self.remove_node(id.as_str(), false).await.is_ok() {
                self.leaving.remove(&id);
            }
        }
        match self.leaving.len() == before {
            true => Ok(()),
            false => self.note_configured().await,
        }
    }
}
