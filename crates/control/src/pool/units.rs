//! What could leave a node, and how much of its load each would take away.
//!
//! Asked only for nodes that have to be relieved. A bucket's measured load includes all of its keys, also those that an
//! override placed elsewhere; so that nothing is counted twice, those are taken off, and of a bucket and the heavy
//! keys in it either the one or the others are offered.

use std::collections::{HashMap, HashSet};

use foreshift_forecast::Signal;
use foreshift_placement::{Bottleneck, Demand, NodeIndex, PlanUnit};
use foreshift_telemetry::{UnitKind, UnitLoad, UnitRate};
use foreshift_wire::{Capacity, NodeRecord, NodeState, SessionId, Unit};

use super::state::{Node, Pool};

/// Units offered of each node.
const UNITS_MAX: usize = 1_000;
/// Share of a bucket's load from which on its heavy keys are offered instead of it.
const KEYS_SHARE: f64 = 0.5;
/// Bounds of how much more a unit is expected to ask for at the node's likely peak than now.
const GROWTH: std::ops::RangeInclusive<f64> = 0.25..=4.0;
/// Scores under this are too small to tell growth from.
const SCORE_MIN: f64 = 1.0;

/// The rate by which the units of a node are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    InFlight,
    Requests,
    Connections,
    Bytes,
}

impl Measure {
    const ALL: [Self; 4] = [Self::InFlight, Self::Requests, Self::Connections, Self::Bytes];

    fn of(self, rate: &UnitRate) -> f64 {
        match self {
            Self::InFlight => rate.in_flight,
            Self::Requests => rate.requests_per_s,
            Self::Connections => f64::from(rate.open),
            Self::Bytes => rate.bytes_per_s,
        }
    }
}

/// A node to relieve.
struct Relieved<'a> {
    index: NodeIndex,
    record: &'a NodeRecord,
    measure: Measure,
    /// Score points for one of the measure.
    points: f64,
}

/// The signal that makes a node's score, as the planner knows it.
pub(super) fn bottleneck(node: &Node) -> Bottleneck {
    match node.score.map(|score| score.signal) {
        Some(Signal::RequestsInFlight) => Bottleneck::InFlight,
        Some(Signal::Connections) => Bottleneck::Connections,
        Some(Signal::RequestsPerS) => Bottleneck::RequestsPerSecond,
        Some(Signal::BytesPerS) => Bottleneck::BytesPerSecond,
        _ => Bottleneck::Relative,
    }
}

impl Pool {
    /// The units of those nodes, of which `relieve` has the indices in the map.
    pub(super) fn units(&self, relieve: &[NodeIndex]) -> Vec<PlanUnit> {
        let map = self.routes.map();
        let relieved: Vec<Relieved<'_>> = relieve.iter().filter_map(|index| self.relieved(*index)).collect();
        let moving: HashSet<UnitKind> = self.log.units().map(kind).collect();
        let placed = self.placed_in_buckets();
        let mut units = Vec::new();
        for measure in Measure::ALL {
            // By index: this is asked for every key and bucket that is known.
            let mut places = vec![None; map.nodes().len()];
            let nodes = || relieved.iter().filter(|node| node.measure == measure);
            for (place, node) in nodes().enumerate() {
                places[usize::from(node.index.0)] = Some(place);
            }
            let count = nodes().count();
            if count == 0 {
                continue;
            }
            let group = |unit| {
                let node = match unit {
                    UnitKind::Key(session) => map.lookup(session),
                    UnitKind::Bucket(bucket) => map.bucket_owner(bucket),
                };
                places.get(usize::from(node?.0)).copied().flatten()
            };
            let weight = |rate: &UnitRate| measure.of(rate);
            let heaviest = self.loads.heaviest(count, UNITS_MAX, group, weight);
            for (node, found) in nodes().zip(heaviest) {
                let found = self.without_overlap(found, measure, &placed);
                units.extend(found.into_iter().map(|load| self.unit(node, &load, &moving)));
            }
        }
        for node in relieved
            .iter()
            .filter(|node| node.record.observed == NodeState::Draining)
        {
            self.add_left(node, &moving, &mut units);
        }
        units
    }

    fn relieved(&self, index: NodeIndex) -> Option<Relieved<'_>> {
        let id = &self.routes.map().node(index)?.id;
        let (node, record) = (self.nodes.get(id)?, self.routes.node(id)?);
        let (measure, points) = points(node, &record.spec.capacity);
        let score = node.score.map_or(0.0, |score| score.score);
        let growth = match self.likely(node) {
            Some(peak) if score > SCORE_MIN => (peak / score).clamp(*GROWTH.start(), *GROWTH.end()),
            _ => 1.0,
        };
        Some(Relieved {
            index,
            record,
            measure,
            points: points * growth,
        })
    }

    /// What keys with an override ask for, by bucket: the buckets' measured load includes it.
    fn placed_in_buckets(&self) -> HashMap<u16, Vec<UnitRate>> {
        let mut placed: HashMap<u16, Vec<UnitRate>> = HashMap::new();
        // Keys come first: the buckets behind them need not be looked at.
        let (keys, _) = self.loads.len();
        for (unit, rate) in self.loads.iter().take(keys) {
            if let UnitKind::Key(session) = unit
                && self.routes.override_of(session).is_some()
            {
                placed.entry(session.bucket()).or_default().push(rate);
            }
        }
        placed
    }

    /// `found` with each load counted once.
    fn without_overlap(
        &self,
        mut found: Vec<UnitLoad>,
        measure: Measure,
        placed: &HashMap<u16, Vec<UnitRate>>,
    ) -> Vec<UnitLoad> {
        for load in &mut found {
            if let UnitKind::Bucket(bucket) = load.unit {
                placed
                    .get(&bucket)
                    .into_iter()
                    .flatten()
                    .for_each(|key| take_off(&mut load.rate, key));
                load.weight = measure.of(&load.rate);
            }
        }
        let in_its_bucket = |unit| match unit {
            UnitKind::Key(session) if self.routes.override_of(session).is_none() => Some(session.bucket()),
            _ => None,
        };
        let mut by_keys: HashMap<u16, f64> = HashMap::new();
        for load in &found {
            if let Some(bucket) = in_its_bucket(load.unit) {
                *by_keys.entry(bucket).or_default() += load.weight;
            }
        }
        // A bucket that is not among the heaviest itself cannot be offered, its keys can.
        let split: HashMap<u16, bool> = found
            .iter()
            .filter_map(|load| match load.unit {
                UnitKind::Bucket(bucket) => {
                    let keys = by_keys.get(&bucket).copied().unwrap_or(0.0);
                    Some((bucket, keys >= KEYS_SHARE * load.weight))
                }
                UnitKind::Key(_) => None,
            })
            .collect();
        found.retain(|load| {
            let wanted = match load.unit {
                UnitKind::Bucket(bucket) => !split.get(&bucket).copied().unwrap_or(false),
                unit @ UnitKind::Key(_) => {
                    in_its_bucket(unit).is_none_or(|bucket| split.get(&bucket).copied().unwrap_or(true))
                }
            };
            wanted && load.weight > 0.0
        });
        found
    }

    fn unit(&self, node: &Relieved<'_>, load: &UnitLoad, moving: &HashSet<UnitKind>) -> PlanUnit {
        let session = match load.unit {
            UnitKind::Key(session) => Some(session),
            UnitKind::Bucket(_) => None,
        };
        let bucket_moves = |session: SessionId| moving.contains(&UnitKind::Bucket(session.bucket()));
        PlanUnit {
            unit: self.loads.unit(load.unit),
            node: node.index,
            load: node.measure.of(&load.rate) * node.points,
            demand: demand(&load.rate),
            state_bytes: 0,
            open_streams: load.rate.open,
            last_moved_ms: None,
            // A node that is to be emptied cannot keep what was pinned to it.
            pinned: node.record.observed != NodeState::Draining
                && session
                    .and_then(|session| self.routes.override_of(session))
                    .is_some_and(|set| set.pinned),
            moving: moving.contains(&load.unit) || session.is_some_and(bucket_moves),
        }
    }

    /// The keys that an override keeps on a draining node, however light.
    fn add_left(&self, node: &Relieved<'_>, moving: &HashSet<UnitKind>, units: &mut Vec<PlanUnit>) {
        let offered: HashSet<UnitKind> = units.iter().map(|unit| kind(&unit.unit)).collect();
        let left = self
            .routes
            .overrides()
            .filter(|set| set.node == node.record.spec.id && !offered.contains(&UnitKind::Key(set.session)));
        let rate = |session| self.loads.key(session).unwrap_or_default();
        units.extend(left.take(UNITS_MAX).map(|set| {
            let unit = UnitKind::Key(set.session);
            self.unit(
                node,
                &UnitLoad {
                    unit,
                    rate: rate(set.session),
                    weight: 0.0,
                },
                moving,
            )
        }));
    }
}

/// How the units of a node are weighed, and the score points that one of it makes up.
fn points(node: &Node, capacity: &Capacity) -> (Measure, f64) {
    let absolute = |size: Option<f64>| size.filter(|size| *size > 0.0).map_or(0.0, |size| 100.0 / size);
    match bottleneck(node) {
        Bottleneck::InFlight => (
            Measure::InFlight,
            absolute(capacity.requests_in_flight.map(f64::from)),
        ),
        Bottleneck::Connections => (
            Measure::Connections,
            absolute(capacity.connections.map(f64::from)),
        ),
        Bottleneck::RequestsPerSecond => (Measure::Requests, absolute(capacity.requests_per_second)),
        Bottleneck::BytesPerSecond => (Measure::Bytes, absolute(capacity.bytes_per_second)),
        Bottleneck::Relative => relative(node),
    }
}

/// A score that comes from the node itself is shared out by what the ingress sees of it: time in flight where there
/// are requests, else messages, else connections.
fn relative(node: &Node) -> (Measure, f64) {
    let (signals, score) = (&node.signals, node.score.map_or(0.0, |score| score.score));
    let candidates = [
        (Measure::InFlight, signals.in_flight, 0.05),
        (Measure::Requests, signals.requests_per_s, 0.5),
        (Measure::Connections, signals.connections, 0.5),
    ];
    let found = candidates.into_iter().find_map(|(measure, total, least)| {
        let total = total.filter(|total| *total > least)?;
        Some((measure, score / total))
    });
    found.unwrap_or((Measure::Requests, 0.0))
}

fn demand(rate: &UnitRate) -> Demand {
    Demand {
        requests_per_s: rate.requests_per_s,
        in_flight: rate.in_flight,
        bytes_per_s: rate.bytes_per_s,
    }
}

fn take_off(rate: &mut UnitRate, key: &UnitRate) {
    rate.requests_per_s = (rate.requests_per_s - key.requests_per_s).max(0.0);
    rate.bytes_per_s = (rate.bytes_per_s - key.bytes_per_s).max(0.0);
    rate.in_flight = (rate.in_flight - key.in_flight).max(0.0);
    rate.open = rate.open.saturating_sub(key.open);
}

fn kind(unit: &Unit) -> UnitKind {
    match unit {
        Unit::Key { session, .. } => UnitKind::Key(*session),
        Unit::Bucket { bucket } => UnitKind::Bucket(*bucket),
    }
}
