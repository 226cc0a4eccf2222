//! What nodes say when they are asked: their load, and what their agents wish for them.
//!
//! An agent's wish joins the operator's and the health checks' as the strictest of them: it can take its node out, and back, but
//! it cannot bring back what the operator or the checks took out, nor they what it did.

use foreshift_telemetry::Said;
use foreshift_telemetry::agent_check::{AgentAdmin, AgentHealth, AgentReply, AgentWeight};
use foreshift_wire::{AgentWish, NodeId, NodeState, OwnLoad, SourceKind};

use super::{routes::Edit, state::Pool};
use crate::{
    clock::now_ms,
    collect::{Heard, What, counts_for},
};

/// A weight that changes by less than this share stays: each change moves buckets, and clients with them.
const WEIGHT_STEP: f64 = 0.1;
/// An agent can raise its node's weight to this factor of the configured one.
const WEIGHT_FACTOR_MAX: f64 = 10.0;

impl Pool {
    /// Takes in what was heard of a node.
    pub(super) async fn on_heard(&mut self, heard: Heard) -> Result<(), foreshift_meta::Error> {
        if !self.collector.is_current(&heard) {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&heard.node) else {
            return Ok(());
        };
        let sources = node.load.sources_mut();
        match heard.what {
            What::Said(said) => sources.heard(now_ms(), &said),
            What::Failed {
                kind,
                stale_after,
                error,
            } => sources.failed(kind, stale_after, 1, &error),
            What::Agent(reply) => return self.on_agent(&heard.node, &reply).await,
        }
        Ok(())
    }

    /// Asks nodes as the settings say now; what is no longer asked is no longer shown.
    pub(super) fn ask_anew(&mut self, before: &foreshift_wire::Pool) {
        let out_of_band =
            |pool: &foreshift_wire::Pool| pool.orca.as_ref().is_some_and(|o| o.out_of_band.is_some());
        let in_band = |pool: &foreshift_wire::Pool| pool.orca.as_ref().is_some_and(|o| o.in_band);
        let now = &self.settings;
        let ended = [
            (
                SourceKind::AgentCheck,
                before.agent_check.is_some() && now.agent_check.is_none(),
            ),
            (
                SourceKind::Prometheus,
                before.prometheus.is_some() && now.prometheus.is_none(),
            ),
            (
                SourceKind::OrcaOutOfBand,
                out_of_band(before) && !out_of_band(now),
            ),
            (SourceKind::OrcaInBand, in_band(before) && !in_band(now)),
        ];
        for node in self.nodes.values_mut() {
            for (kind, _) in ended.iter().filter(|(_, ended)| *ended) {
                node.load.sources_mut().forget(*kind);
            }
            if now.agent_check.is_none() {
                node.agent = AgentWish::default();
            }
        }
        self.collector.configure(now);
    }

    async fn on_agent(&mut self, id: &NodeId, reply: &AgentReply) -> Result<(), foreshift_meta::Error> {
        let found = self.routes.node(id).zip(self.nodes.get_mut(id));
        let Some((record, node)) = found else {
            return Ok(());
        };
        if let Some(check) = &self.settings.agent_check {
            let stale_after = counts_for(check.interval.get());
            let said = Said::now(SourceKind::AgentCheck, stale_after, OwnLoad::default());
            node.load.sources_mut().heard(now_ms(), &said);
        }
        let wish = wished(&record.agent, reply, record.spec.effective_weight());
        if wish == node.agent {
            return Ok(());
        }
        node.agent = wish;
        self.restate(id, "its agent took the target out").await
    }

    /// Writes a node's record where what is known of it makes another one.
    pub(super) async fn restate(&mut self, id: &NodeId, why: &str) -> Result<(), foreshift_meta::Error> {
        let Some(before) = self.routes.node(id) else {
            return Ok(());
        };
        let record = self.record(before.spec.clone());
        if *before == record {
            return Ok(());
        }
        let went_down = record.observed == NodeState::Down && before.observed != NodeState::Down;
        self.commit(Edit {
            set_nodes: vec![record],
            ..Default::default()
        })
        .await?;
        if let Some(node) = self.nodes.get_mut(id) {
            node.told_empty = false;
        }
        if went_down {
            self.cancel_moves(|made| made.to == *id, why).await;
        }
        Ok(())
    }
}

/// What an agent wishes after one more line; what the line does not say stays.
fn wished(before: &AgentWish, reply: &AgentReply, configured: f64) -> AgentWish {
    let mut wish = before.clone();
    if let Some(weight) = reply.weight {
        wish.weight = weighed(before.weight, weight, configured);
    }
    if let Some(maxconn) = reply.maxconn {
        wish.maxconn = Some(maxconn);
    }
    match reply.admin {
        None => {}
        Some(AgentAdmin::Ready) => wish.state = None,
        Some(AgentAdmin::Drain) => wish.state = Some(NodeState::Draining),
        Some(AgentAdmin::Maint) => wish.state = Some(NodeState::Down),
    }
    match reply.health {
        None => {}
        Some(AgentHealth::Up) => wish.down = None,
        Some(health) => {
            let reason = reply.reason.as_ref().map(|reason| format!(": {reason}"));
            wish.down = Some(format!("{}{}", health.word(), reason.unwrap_or_default()));
        }
    }
    wish
}

fn weighed(before: Option<f64>, weight: AgentWeight, configured: f64) -> Option<f64> {
    let wanted = weight.of(configured).min(configured * WEIGHT_FACTOR_MAX);
    let now = before.unwrap_or(configured);
    let settles = wanted == 0.0 || now == 0.0 || wanted == configured;
    match settles || (wanted - now).abs() > WEIGHT_STEP * now {
        true => Some(wanted).filter(|wanted| *wanted != configured),
        false => before,
    }
}

/// The strictest of what the operator and the agent wish, and why where it is the agent's.
pub(super) fn joined(operator: NodeState, agent: &AgentWish) -> (NodeState, Option<String>) {
    let (state, why) = match agent {
        AgentWish { down: Some(why), .. } => (NodeState::Down, format!("its agent says {why}")),
        AgentWish {
            state: Some(NodeState::Down),
            ..
        } => (NodeState::Down, "its agent says maint".into()),
        AgentWish { state: Some(_), .. } => (NodeState::Draining, "its agent says drain".into()),
        AgentWish {
            weight: Some(0.0), ..
        } => (NodeState::Draining, "its agent gives it weight 0".into()),
        _ => return (operator, None),
    };
    match (operator, state) {
        (NodeState::Down, _) | (NodeState::Draining, NodeState::Draining) => (operator, None),
        _ => (state, Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use foreshift_telemetry::agent_check::parse;

    use super::*;

    /// Where a node of weight 2 is after these lines of its agent, one after the other.
    fn after(lines: &[&str]) -> AgentWish {
        let start = AgentWish::default();
        let step = |wish, line: &&str| wished(&wish, &parse(line.as_bytes()).unwrap(), 2.0);
        lines.iter().fold(start, step)
    }

    #[test]
    fn only_the_agent_takes_back_what_it_did_and_silence_changes_nothing() {
        use NodeState::{Down, Draining, Ready};
        for (lines, operator, state) in [
            (&["up ready"][..], Ready, Ready),
            (&["drain"], Ready, Draining),
            (&["drain", "up", ""], Ready, Draining),
            (&["drain", "ready"], Ready, Ready),
            (&["maint", "up"], Ready, Down),
            (&["maint", "ready"], Ready, Ready),
            (&["down #disk"], Ready, Down),
            (&["down", "ready"], Ready, Down),
            (&["down", "up"], Ready, Ready),
            (&["fail drain", "up"], Ready, Draining),
            (&["0%"], Ready, Draining),
            (&["0%", "100%"], Ready, Ready),
            (&["ready up"], Draining, Draining),
            (&["maint"], Draining, Down),
            (&["ready up"], Down, Down),
        ] {
            assert_eq!(joined(operator, &after(lines)).0, state, "{lines:?}");
        }
        let (_, why) = joined(Ready, &after(&["stopped #for the night"]));
        assert_eq!(why.as_deref(), Some("its agent says stopped: for the night"));
    }

    #[test]
    fn a_weight_moves_in_steps_that_are_worth_the_clients_they_move() {
        for (lines, weight) in [
            (&["75%"][..], Some(1.5)),
            (&["weight:3"], Some(3.0)),
            (&["weight:200"], Some(20.0)),
            (&["75%", "72%", "70%"], Some(1.5)),
            (&["75%", "66%"], Some(1.32)),
            (&["95%"], None),
            (&["0%", "1%"], Some(0.02)),
            (&["75%", "up"], Some(1.5)),
            (&["91%", "100%"], None),
        ] {
            assert_eq!(after(lines).weight, weight, "{lines:?}");
        }
        assert_eq!(after(&["maxconn:30", "up"]).maxconn, Some(30));
    }
}
