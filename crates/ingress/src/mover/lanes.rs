//! At what pace told clients come to each node.
//!
//! Twice: every client is given a delay, so that they arrive one after the other; and a session is connected to its new
//! node no sooner than its turn, so that the limit holds there however clients and networks keep their times.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use foreshift_migration::Pacer;
use foreshift_wire::NodeId;

/// The rate that is kept, so that what a scheduler or a network does to the times, some 100 ms, does not make it more than the limit.
fn below(per_second: u32) -> u32 {
    (per_second - per_second / 10).max(1)
}

/// Sessions that may be ahead of the steady rate: timers tick in milliseconds.
fn burst(per_second: u32) -> u32 {
    per_second / 20
}

/// One node's.
struct Lane<T> {
    per_second: u32,
    /// When clients are to arrive.
    arrivals: Pacer,
    /// When sessions are connected.
    door: Pacer,
    waiting: VecDeque<T>,
}

/// All nodes'.
pub(super) struct Lanes<T> {
    lanes: HashMap<(usize, NodeId), Lane<T>>,
    start: Instant,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            start: Instant::now(),
        }
    }
}

impl<T> Lanes<T> {
    fn lane(&mut self, pool: usize, node: &NodeId, per_second: u32) -> &mut Lane<T> {
        let lane = self.lanes.entry((pool, node.clone())).or_insert_with(|| Lane {
            per_second,
            arrivals: Pacer::new(below(per_second), 1),
            door: Pacer::new(below(per_second), burst(per_second)),
            waiting: VecDeque::new(),
        });
        if lane.per_second != per_second {
            lane.per_second = per_second;
            lane.arrivals = Pacer::new(below(per_second), 1);
            lane.door = Pacer::new(below(per_second), burst(per_second));
        }
        lane
    }

    /// When the next client may arrive at a node.
    pub(super) fn arrival(&mut self, pool: usize, node: &NodeId, per_second: u32, now: Instant) -> Instant {
        let start = self.start;
        start + self.lane(pool, node, per_second).arrivals.reserve(now - start)
    }

    /// Has something wait for its turn at a node.
    pub(super) fn wait(&mut self, pool: usize, node: &NodeId, per_second: u32, what: T) {
        self.lane(pool, node, per_second).waiting.push_back(what);
    }

    /// The next whose turn it is, or when it will be somebody's.
    pub(super) fn next(&mut self, now: Instant) -> Result<T, Option<Instant>> {
        let mut soonest: Option<Duration> = None;
        for lane in self.lanes.values_mut().filter(|lane| !lane.waiting.is_empty()) {
            match lane.door.admit(now - self.start) {
                Ok(()) => return lane.waiting.pop_front().ok_or(None),
                Err(later) => soonest = Some(soonest.map_or(later, |s| s.min(later))),
            }
        }
        Err(soonest.map(|soonest| self.start + soonest))
    }

    /// Takes out what is not meant to wait any more.
    pub(super) fn withdraw(&mut self, unwanted: impl Fn(&T) -> bool) {
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|what| !unwanted(what));
        }
    }
}
