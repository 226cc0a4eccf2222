//! Asks the planner, and does what it says as far as the pool's mode allows.

use std::collections::HashMap;

use foreshift_forecast::Forecast;
use foreshift_placement::{History, NodeIndex, PlanNode, PlanUnit, PlannerSettings, Predicted, plan};
use foreshift_wire::{
    Event, Mode, Move, MoveId, MoveReason, MoveState, MovedBucket, NodeState, Override, Plan, PlanView,
    Trigger, Unit,
};

use super::{
    affinity::IDLE_MS,
    log::MOVES_IN_METADATA,
    routes::Edit,
    state::{Node, Pool},
    units::bottleneck,
};
use crate::{clock::now_ms, metrics::count};

/// The planner's settings and memory.
#[derive(Debug)]
pub(super) struct Planner {
    settings: PlannerSettings,
    history: History,
    /// When a move was last advised, so that the same advice is not repeated every round.
    advised_ms: HashMap<Unit, u64>,
}

impl Planner {
    pub(super) fn new(pool: &foreshift_wire::Pool) -> Self {
        let settings = settings_of(pool);
        Self {
            settings,
            history: History::new(&settings),
            advised_ms: HashMap::new(),
        }
    }

    /// Takes new settings. True where the memory had to begin anew, since it reaches back for another time.
    pub(super) fn configure(&mut self, pool: &foreshift_wire::Pool) -> bool {
        let before = std::mem::replace(&mut self.settings, settings_of(pool));
        let anew = before.migration_interval_ms != self.settings.migration_interval_ms;
        if anew {
            self.history = History::new(&self.settings);
        }
        anew
    }
}

fn settings_of(pool: &foreshift_wire::Pool) -> PlannerSettings {
    PlannerSettings {
        load_threshold: pool.load_threshold,
        headroom: pool.headroom,
        max_moves_per_tick: pool.max_moves_per_tick,
        migration_interval_ms: pool.migration_interval.as_millis() as u64,
        ..Default::default()
    }
}

/// A forecast as the planner wants it.
///
/// What sets off a plan is the path at the trigger quantile; as a place to move to, a node counts with its median
/// path.
pub(super) fn predicted(forecast: &Forecast, pool: &foreshift_wire::Pool) -> Option<Predicted> {
    Some(Predicted {
        peak: forecast.peak(pool.trigger_quantile)?.score,
        likely: forecast.peak(0.5)?.score,
        crosses_in_ms: forecast.crosses_in_ms(pool.trigger_quantile, pool.load_threshold),
    })
}

impl Pool {
    /// Plans and acts, where some node needs it.
    ///
    /// Draining is the operator's order, not the forecast's advice: it is carried out in every mode.
    pub(super) async fn decide(&mut self) -> Result<(), foreshift_meta::Error> {
        let relieve = self.to_relieve();
        let watches = self.settings.mode == Mode::Observe && !self.has_left_to_drain();
        if relieve.is_empty() || watches {
            return Ok(());
        }
        let (nodes, units) = (self.plan_nodes(), self.units(&relieve));
        let Plan { moves, .. } = self.ask(&nodes, &units);
        let (ordered, advice): (Vec<_>, Vec<_>) = moves
            .into_iter()
            .partition(|made| made.reason == MoveReason::Drain);
        match self.settings.mode {
            Mode::Act => {
                self.act(ordered.into_iter().chain(advice).collect(), &nodes)
                    .await
            }
            Mode::Advise => {
                self.act(ordered, &nodes).await?;
                self.advise(advice);
                Ok(())
            }
            Mode::Observe => self.act(ordered, &nodes).await,
        }
    }

    fn has_left_to_drain(&self) -> bool {
        let mut nodes = self.routes.nodes();
        nodes.any(|record| {
            record.observed == NodeState::Draining && self.routes.overrides_on(&record.spec.id) > 0
        })
    }

    /// What would be done now, whatever the mode. Nothing is done.
    pub(super) fn plan_view(&mut self) -> PlanView {
        let (nodes, units) = (self.plan_nodes(), self.units(&self.to_relieve()));
        PlanView {
            pool: self.settings.name.clone(),
            at_ms: now_ms(),
            mode: self.settings.mode,
            forecast_gated: self.is_gated(),
            plan: self.ask(&nodes, &units),
        }
    }

    fn ask(&mut self, nodes: &[PlanNode], units: &[PlanUnit]) -> Plan {
        let view = foreshift_placement::PlanView {
            pool: &self.settings.name,
            nodes,
            units,
            next_move: self.log.next_id(),
        };
        let Planner {
            settings, history, ..
        } = &self.planner;
        plan(now_ms(), &view, history, settings, &mut self.rng)
    }

    /// Nodes over the threshold, now or soon, and draining ones that still have keys. O(nodes).
    fn to_relieve(&self) -> Vec<NodeIndex> {
        let needs = |state, node: &Node, left: u64| match state {
            NodeState::Ready => self
                .peak(node)
                .is_some_and(|peak| peak > self.settings.load_threshold),
            NodeState::Draining => left > 0,
            NodeState::Joining | NodeState::Down => false,
        };
        let map = self.routes.map().nodes().iter().enumerate();
        map.filter(|(_, known)| {
            let node = self.nodes.get(&known.id);
            let ejected = self
                .routes
                .node(&known.id)
                .is_some_and(|record| record.ejected.is_some());
            !ejected && node.is_some_and(|node| needs(known.state, node, self.routes.overrides_on(&known.id)))
        })
        .map(|(index, _)| NodeIndex(index as u16))
        .collect()
    }

    /// The highest score that a node is feared to reach: what it has now, or what is forecast at the trigger
    /// quantile where that counts.
    pub(super) fn peak(&self, node: &Node) -> Option<f64> {
        self.highest(node, |predicted| predicted.peak)
    }

    /// The highest score that a node will reach as likely as not.
    pub(super) fn likely(&self, node: &Node) -> Option<f64> {
        self.highest(node, |predicted| predicted.likely)
    }

    fn highest(&self, node: &Node, path: fn(&Predicted) -> f64) -> Option<f64> {
        let now = node.score.map(|score| score.score);
        let predicted = node.predicted.filter(|_| !self.only_now(node));
        now.into_iter()
            .chain(predicted.map(|predicted| path(&predicted)))
            .reduce(f64::max)
    }

    /// Whether only a node's current score counts.
    fn only_now(&self, node: &Node) -> bool {
        self.settings.trigger == Trigger::Current || node.predictor.gated()
    }

    /// All nodes, in the map's order, so that its indices are the plan's.
    fn plan_nodes(&self) -> Vec<PlanNode> {
        let node = |known: &foreshift_placement::MapNode| {
            let (node, record) = (self.nodes.get(&known.id)?, self.routes.node(&known.id)?);
            Some(PlanNode {
                id: known.id.clone(),
                // Like one that joins: nothing is put on it, and what it has is left alone.
                state: if record.ejected.is_some() || record.warming.is_some() {
                    match known.state {
                        NodeState::Ready => NodeState::Joining,
                        other => other,
                    }
                } else {
                    known.state
                },
                zone: record.spec.zone.clone(),
                weight: record.weight(),
                capacity: record.spec.capacity.clone(),
                bottleneck: bottleneck(node),
                open_streams: node.signals.connections.map(|connections| connections as u64),
                score_now: node.score.map(|score| score.score),
                predicted: node.predicted,
                gated: self.only_now(node),
            })
        };
        let nodes: Vec<_> = self.routes.map().nodes().iter().filter_map(node).collect();
        debug_assert_eq!(
            nodes.len(),
            self.routes.map().nodes().len(),
            "every node of the map is tracked"
        );
        nodes
    }

    /// Commits a plan: the routes and the records of its moves, in one transaction.
    async fn act(&mut self, planned: Vec<Move>, nodes: &[PlanNode]) -> Result<(), foreshift_meta::Error> {
        // What was left out or put first is not in the plan's order any more, but ids rise.
        let ids = self.log.next_id().0..;
        let moves: Vec<Move> = planned
            .into_iter()
            .zip(ids)
            .map(|(made, id)| Move {
                id: MoveId(id),
                state: MoveState::Moving,
                ..made
            })
            .collect();
        let Some(first) = moves.first() else { return Ok(()) };
        tracing::info!(
            pool = %self.settings.name, moves = moves.len(), from = %first.from, to = %first.to, reason = ?first.reason,
            "moving"
        );
        let mut edit = Edit::default();
        for made in &moves {
            match made.unit {
                Unit::Key { session, .. } => edit.set_overrides.push(Override {
                    session,
                    node: made.to.clone(),
                    moving_from: Some(made.from.clone()),
                    move_id: Some(made.id),
                    expires_ms: Some(made.planned_ms + IDLE_MS),
                    pinned: false,
                }),
                Unit::Bucket { bucket } => {
                    edit.set_buckets.push(MovedBucket {
                        bucket,
                        node: made.to.clone(),
                        move_id: made.id,
                    });
                }
            }
        }
        self.begin(moves.clone(), edit).await?;
        self.with_history(nodes, |history, view| {
            moves.iter().for_each(|made| history.started(made, view));
        });
        Ok(())
    }

    /// Shows a plan's moves, each at most once in `migration_interval`.
    fn advise(&mut self, advice: Vec<Move>) {
        let (now, interval) = (now_ms(), self.planner.settings.migration_interval_ms);
        let advised = &mut self.planner.advised_ms;
        advised.retain(|_, at| now.saturating_sub(*at) < interval);
        for made in advice {
            if advised.contains_key(&made.unit) {
                continue;
            }
            advised.insert(made.unit.clone(), now);
            // Advice that was left out made gaps in the plan's numbers.
            let made = Move {
                id: self.log.next_id(),
                state: MoveState::Advised,
                ..made
            };
            count(&mut self.counters.moves, "advised");
            self.log.show(made.clone());
            self.bus.tell(Event::Move(made));
        }
    }

    /// Notes moves that were made by hand, so that plans know of them.
    pub(super) fn remember_start(&mut self, made: &Move) {
        let nodes = self.plan_nodes();
        self.with_history(&nodes, |history, view| history.started(made, view));
    }

    /// Tells the planner's memory, which ends with a run, what was moved shortly before this one.
    pub(super) fn remember_recent(&mut self) {
        let since = now_ms().saturating_sub(self.planner.settings.migration_interval_ms);
        let mut recent = self.log.newest(MOVES_IN_METADATA);
        recent.retain(|made| made.planned_ms >= since && made.state == MoveState::Done);
        let nodes = self.plan_nodes();
        self.with_history(&nodes, |history, view| {
            recent.iter().rev().for_each(|made| history.started(made, view));
        });
    }

    /// Notes how moves ended.
    pub(super) fn remember_ends<'a>(&mut self, ended: impl Iterator<Item = &'a Move>) {
        let nodes = self.plan_nodes();
        let now = now_ms();
        self.with_history(&nodes, |history, view| {
            ended.for_each(|made| match made.state {
                MoveState::Failed => history.failed(now, made, view),
                MoveState::Done => history.done(made),
                MoveState::Moving | MoveState::Advised => {}
            });
        });
    }

    fn with_history(
        &mut self,
        nodes: &[PlanNode],
        tell: impl FnOnce(&mut History, &foreshift_placement::PlanView<'_>),
    ) {
        let view = foreshift_placement::PlanView {
            pool: &self.settings.name,
            nodes,
            units: &[],
            next_move: self.log.next_id(),
        };
        tell(&mut self.planner.history, &view);
    }
}
