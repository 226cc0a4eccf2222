//! How moves begin and end.
//!
//! A move begins with its route committed. The ingress then hands sessions over and tells how that went; a
//! move that failed gives the key back to the node that still serves it, so that routes and truth agree again.

use std::collections::{BTreeMap, HashMap};

use foreshift_wire::{
    Answer, Event, IngressEvent, Move, MoveFailure, MoveId, MoveOutcome, MoveState, MovedBucket, NodeId,
    Override, SessionId, Told, Unit,
};

use super::{affinity::IDLE_MS, routes::Edit, state::Pool};
use crate::{clock::now_ms, metrics::count};

/// Times that a settlement is tried where others change metadata at the same moment.
const ATTEMPTS: usize = 3;

/// How one hand-over ended, whether the ingress told it or control gave up.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    connections: u32,
    pause_us_max: u64,
    failure: Option<MoveFailure>,
    told: Option<Told>,
}

/// Changes that belong into one transaction, the last one for each record.
#[derive(Default)]
pub(super) struct Settlement {
    overrides: HashMap<SessionId, Option<Override>>,
    buckets: HashMap<u16, Option<MovedBucket>>,
    moves: BTreeMap<MoveId, Move>,
}

impl Settlement {
    fn edit(&self) -> Edit {
        let mut edit = Edit {
            moves: self.moves.values().cloned().collect(),
            ..Default::default()
        };
        for (session, set) in &self.overrides {
            match set {
                Some(set) => edit.set_overrides.push(set.clone()),
                None => edit.clear_overrides.push(*session),
            }
        }
        for (bucket, set) in &self.buckets {
            match set {
                Some(set) => edit.set_buckets.push(set.clone()),
                None => edit.clear_buckets.push(*bucket),
            }
        }
        edit
    }
}

impl Pool {
    /// Commits the routes of moves with their records, and tells of them. Adds to `edit` what the log needs.
    pub(super) async fn begin(
        &mut self,
        moves: Vec<Move>,
        mut edit: Edit,
    ) -> Result<(), foreshift_meta::Error> {
        let formers: Vec<_> = edit
            .set_overrides
            .iter()
            .map(|set| self.routes.override_of(set.session).cloned())
            .collect();
        let ids: Vec<_> = edit.set_overrides.iter().filter_map(|set| set.move_id).collect();
        let forget = self.log.to_forget(moves.len());
        edit.moves.extend(moves.iter().cloned());
        edit.forget_moves.extend(forget.iter().copied());
        self.commit(edit).await?;
        self.log.forgotten(&forget);
        self.formers.extend(
            ids.into_iter()
                .zip(formers)
                .filter_map(|(id, former)| Some((id, former?))),
        );
        for made in moves {
            self.log.record(made.clone());
            self.bus.tell(Event::Move(made));
        }
        Ok(())
    }

    /// Takes in what the ingress told.
    pub(super) async fn settle(&mut self, events: Vec<IngressEvent>) -> Result<(), foreshift_meta::Error> {
        for event in &events {
            self.count_event(event);
        }
        self.settle_with(|pool, settlement| {
            for event in &events {
                pool.settle_one(event, settlement);
            }
        })
        .await
    }

    /// Ends moves as failed and gives their keys back.
    pub(super) async fn fail_moves(
        &mut self,
        ids: &[MoveId],
        failure: &MoveFailure,
    ) -> Result<(), foreshift_meta::Error> {
        let ending = Ending {
            connections: 0,
            pause_us_max: 0,
            failure: Some(failure.clone()),
            told: None,
        };
        self.settle_with(|pool, settlement| {
            for id in ids {
                pool.end_move(*id, &ending, settlement);
            }
        })
        .await
    }

    pub(super) async fn settle_with(
        &mut self,
        decide: impl Fn(&Self, &mut Settlement),
    ) -> Result<(), foreshift_meta::Error> {
        for attempt in 1.. {
            let mut settlement = Settlement::default();
            decide(self, &mut settlement);
            match self.commit(settlement.edit()).await {
                Ok(()) => {
                    self.ended(settlement.moves);
                    break;
                }
                Err(foreshift_meta::Error::Conflict { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ended(&mut self, moves: BTreeMap<MoveId, Move>) {
        if moves.is_empty() {
            return;
        }
        self.remember_ends(moves.values());
        for (id, made) in moves {
            self.formers.remove(&id);
            let failed = made.state == MoveState::Failed;
            count(&mut self.counters.moves, if failed { "failed" } else { "done" });
            if failed {
                tracing::warn!(pool = %made.pool, %id, from = %made.from, to = %made.to, outcome = ?made.outcome, "a move failed");
            }
            self.log.end(made.clone());
            self.bus.tell(Event::Move(made));
        }
    }

    fn count_event(&mut self, event: &IngressEvent) {
        match event {
            IngressEvent::HandedOver { pauses_us, told, .. } => {
                match told.as_ref().map(|told| &told.answer) {
                    Some(Answer::Instructed) => count(&mut self.counters.told, "instructed"),
                    Some(Answer::FellBack { .. }) => count(&mut self.counters.told, "fell_back"),
                    None => {}
                }
                pauses_us
                    .iter()
                    .for_each(|(_, us)| self.counters.pause.add_us(*us, 1));
            }
            IngressEvent::FailedOver { to, .. } => {
                let outcome = if to.is_some() { "resumed" } else { "closed" };
                count(&mut self.counters.failovers, outcome);
            }
            IngressEvent::NodeSuspect { node, detail, .. } => {
                tracing::debug!(pool = %self.settings.name, %node, %detail, "the ingress suspects a node");
                if let Some(checker) = &self.checker {
                    checker.suspect(node);
                }
            }
            IngressEvent::BucketSettled { .. } => {}
        }
    }

    fn settle_one(&self, event: &IngressEvent, settlement: &mut Settlement) {
        match event {
            IngressEvent::HandedOver {
                session,
                move_id,
                from,
                to,
                pauses_us,
                failure,
                told,
                ..
            } => {
                let ending = Ending {
                    connections: pauses_us.len() as u32,
                    pause_us_max: pauses_us.iter().map(|(_, us)| *us).max().unwrap_or(0),
                    failure: failure.clone(),
                    told: told.clone(),
                };
                self.settle_override(*session, from, to, *move_id, &ending, settlement);
                let of_key = |made: &Move| matches!(made.unit, Unit::Key { .. });
                if let Some(id) = move_id.filter(|id| self.log.active(*id).is_some_and(of_key)) {
                    self.end_record(id, &ending, settlement);
                }
            }
            IngressEvent::BucketSettled {
                move_id: Some(id),
                connections,
                failed,
                pause_us_max,
                ..
            } => {
                let stayed = || MoveFailure::Unmovable {
                    detail: format!("{failed} sessions had to stay on the old node for now"),
                };
                let failure = (*failed > 0 && *connections == 0).then(stayed);
                let ending = Ending {
                    connections: *connections,
                    pause_us_max: *pause_us_max,
                    failure,
                    told: None,
                };
                self.end_record(*id, &ending, settlement);
            }
            IngressEvent::BucketSettled { .. }
            | IngressEvent::FailedOver { .. }
            | IngressEvent::NodeSuspect { .. } => {}
        }
    }

    /// Ends a move that is under way, its route included.
    fn end_move(&self, id: MoveId, ending: &Ending, settlement: &mut Settlement) {
        let Some(made) = self.log.active(id) else { return };
        match made.unit {
            Unit::Key { session, .. } => {
                self.settle_override(session, &made.from, &made.to, Some(id), ending, settlement);
            }
            Unit::Bucket { bucket } => {
                let ours = self
                    .routes
                    .moved_bucket(bucket)
                    .is_some_and(|set| set.move_id == id);
                if ours && ending.failure.is_some() {
                    settlement.buckets.insert(bucket, None);
                }
            }
        }
        self.end_record(id, ending, settlement);
    }

    pub(super) fn end_record(&self, id: MoveId, ending: &Ending, settlement: &mut Settlement) {
        let Some(made) = self.log.active(id) else { return };
        let state = if ending.failure.is_some() {
            MoveState::Failed
        } else {
            MoveState::Done
        };
        let outcome = MoveOutcome {
            ended_ms: now_ms(),
            connections: ending.connections,
            pause_us_max: ending.pause_us_max,
            failure: ending.failure.clone(),
            told: ending.told.clone(),
        };
        settlement.moves.insert(
            id,
            Move {
                state,
                outcome: Some(outcome),
                ..made.clone()
            },
        );
    }

    /// The key's route after its hand-over from `from` to `to`.
    fn settle_override(
        &self,
        session: SessionId,
        from: &NodeId,
        to: &NodeId,
        move_id: Option<MoveId>,
        ending: &Ending,
        settlement: &mut Settlement,
    ) {
        let Some(set) = self.routes.override_of(session) else {
            return;
        };
        // Another move may have begun since: then this one's end says nothing about the route.
        if set.node != *to || (move_id.is_some() && set.move_id != move_id) || set.moving_from.is_none() {
            return;
        }
        let settled = match &ending.failure {
            // Its connections go on at the new node already.
            None | Some(MoveFailure::OldNodeLost) => Some(Override {
                moving_from: None,
                ..set.clone()
            }),
            Some(_) => self.given_back(set, from),
        };
        settlement.overrides.insert(session, settled);
    }

    /// The override that makes `from` serve the key again; `None` where its bucket does that by itself.
    fn given_back(&self, set: &Override, from: &NodeId) -> Option<Override> {
        let former = set.move_id.and_then(|id| self.formers.get(&id));
        if let Some(former) = former.filter(|former| former.node == *from) {
            return Some(Override {
                moving_from: None,
                ..former.clone()
            });
        }
        if self.routes.owner_of(set.session.bucket()) == Some(from) || self.routes.node(from).is_none() {
            return None;
        }
        Some(Override {
            session: set.session,
            node: from.clone(),
            moving_from: None,
            move_id: None,
            expires_ms: Some(now_ms() + IDLE_MS),
            pinned: false,
        })
    }
}
