//! What a former run left in metadata, joined with the configuration.

use foreshift_meta::{Meta, Txn, routes};
use foreshift_wire::{
    Move, MoveOutcome, MoveState, NodeConfig, NodeId, NodeRecord, NodeSpec, NodeState, Override, PoolName,
};

use super::{routes::Edit, state::Pool};
use crate::{Error, clock::now_ms, health::Verdict};

impl Pool {
    /// The configuration wins on what it says of a node, and a node that left it is removed; the operator's wish
    /// and nodes added over the API stay.
    pub(super) async fn adopt_nodes(&mut self, meta: &Meta) -> Result<(), Error> {
        let configured: Vec<NodeId> = self.settings.node.iter().map(|node| node.id.clone()).collect();
        let left = self.left_configuration(meta, &configured).await?;
        let known: Vec<NodeRecord> = self
            .routes
            .nodes()
            .filter(|record| !left.contains(&record.spec.id))
            .cloned()
            .collect();
        for record in &known {
            self.track(&record.spec, first_verdict(Some(record.observed)));
        }
        let mut edit = Edit {
            remove_nodes: left.clone(),
            ..Default::default()
        };
        edit.clear_overrides = self
            .routes
            .overrides()
            .filter(|set| left.contains(&set.node))
            .map(|set| set.session)
            .collect();
        edit.clear_buckets = self
            .routes
            .moved_buckets()
            .filter(|set| left.contains(&set.node))
            .map(|set| set.bucket)
            .collect();
        for config in self.settings.node.clone() {
            let former = known.iter().find(|record| record.spec.id == config.id);
            let spec = merged(&config, former);
            self.track(&spec, first_verdict(former.map(|record| record.observed)));
            edit.set_nodes.push(self.record(spec));
        }
        for record in known
            .iter()
            .filter(|record| !configured.contains(&record.spec.id))
        {
            edit.set_nodes.push(self.record(record.spec.clone()));
        }
        edit.set_nodes.retain(|record| !known.contains(record));
        self.routes.commit(edit).await?;
        let list = serde_json::to_vec(&configured).expect("a list of names is always JSON");
        meta.commit(Txn::new().put(configured_key(&self.settings.name), list))
            .await?;
        Ok(())
    }

    /// Nodes that the configuration of the former run had and this one has not.
    async fn left_configuration(&self, meta: &Meta, now: &[NodeId]) -> Result<Vec<NodeId>, Error> {
        let key = configured_key(&self.settings.name);
        let Some(found) = meta.get(&key).await? else {
            return Ok(Vec::new());
        };
        let former: Vec<NodeId> =
            serde_json::from_slice(&found.value).map_err(|e| foreshift_meta::Error::Malformed {
                key,
                detail: e.to_string(),
            })?;
        let left = former
            .into_iter()
            .filter(|id| !now.contains(id) && self.routes.node(id).is_some());
        Ok(left.collect())
    }

    /// Moves that a former run left open. Their routes were committed; every client of then has to connect anew
    /// and is handed over by the route, so that nothing is left to switch.
    pub(super) async fn adopt_moves(&mut self) -> Result<(), Error> {
        let ended_ms = now_ms();
        let end = |made: &Move| Move {
            state: MoveState::Done,
            outcome: Some(MoveOutcome {
                ended_ms,
                connections: 0,
                pause_us_max: 0,
                failure: None,
                told: None,
            }),
            ..made.clone()
        };
        let ended: Vec<Move> = self.log.all_active().map(end).collect();
        let settled = self.routes.overrides().filter(|set| {
            set.moving_from
                .as_ref()
                .is_some_and(|from| self.routes.node(from).is_none())
        });
        let set_overrides = settled.map(|set| Override {
            moving_from: None,
            ..set.clone()
        });
        let edit = Edit {
            moves: ended.clone(),
            set_overrides: set_overrides.collect(),
            ..Default::default()
        };
        self.routes.commit(edit).await?;
        for made in ended {
            tracing::info!(pool = %self.settings.name, id = %made.id, "ended a move of a former run");
            self.log.end(made);
        }
        Ok(())
    }
}

/// Where it is noted which nodes came from the configuration, to tell them from those added over the API.
pub(super) fn configured_key(pool: &PoolName) -> String {
    format!("{}configured", routes::keys::pool(pool))
}

/// What is believed of a node before its first check: what a former run saw.
fn first_verdict(former: Option<NodeState>) -> Verdict {
    match former {
        Some(NodeState::Ready | NodeState::Draining) => Verdict::Healthy,
        Some(NodeState::Down) => Verdict::Unhealthy,
        Some(NodeState::Joining) | None => Verdict::Unknown,
    }
}

/// A node of the configuration with the wish that a former run left.
pub(super) fn merged(config: &NodeConfig, former: Option<&NodeRecord>) -> NodeSpec {
    NodeSpec {
        id: config.id.clone(),
        address: config.address.to_string(),
        zone: config.zone.clone(),
        weight: config.weight,
        maxconn: config.maxconn,
        capacity: config.capacity.clone(),
        required_partitions: config.required_partitions.clone(),
        state: former.map_or(NodeState::Ready, |former| former.spec.state),
        runtime: former.map_or_else(Default::default, |former| former.spec.runtime),
    }
}
