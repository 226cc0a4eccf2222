//! The scenario in numbers: what the backends can do and what is asked of them.

use std::time::Duration;

use foreshift_placement::{AffinityMap, Keyed, MapNode, Secret};
use foreshift_wire::{NodeId, NodeState, PoolName};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::DemoOptions;
use crate::load::{Scenario, ScenarioOptions, Schedule, Trace, user};

/// Names of the nodes.
pub(super) const NODES: [&str; 4] = ["a", "b", "c", "d"];
/// Name of the pool.
pub(super) const POOL: &str = "app";
/// What a backend works on at once.
pub(super) const WORKERS: usize = 8;
/// Mean of the service time.
pub(super) const SERVICE_TIME: Duration = Duration::from_millis(20);
/// Standard deviation of the service time's logarithm.
pub(super) const SPREAD: f64 = 0.5;
/// A second whose 99th percentile is over this was a bad one.
pub(super) const OBJECTIVE_MS: f64 = 150.0;
/// Of the work items, how many are HTTP requests.
const HTTP_SHARE: f64 = 0.15;
/// `balance_factor` of the configuration; the default.
const BALANCE_FACTOR: f64 = 1.25;

/// Work items per second that one backend can do.
pub(super) fn node_capacity() -> f64 {
    WORKERS as f64 / SERVICE_TIME.as_secs_f64()
}

/// Everything that is the same in each run.
#[derive(Debug)]
pub(super) struct Setting {
    /// The cluster secret; with it, every key lives on the same node in each run.
    pub secret: [u8; 16],
    pub schedule: Schedule,
    scenario: Scenario,
}

impl Setting {
    /// Draws scenario and schedule from the seed.
    pub(super) fn draw(options: &DemoOptions, trace: Option<Trace>) -> anyhow::Result<Self> {
        let secret: [u8; 16] = Pcg64Mcg::seed_from_u64(options.seed).random();
        let scenario = Scenario::draw(&ScenarioOptions {
            seed: options.seed,
            seconds: options.seconds,
            homes: homes(secret, options.sessions)?,
            nodes: NODES.len(),
            node_capacity: node_capacity(),
            base: 0.42,
            surge: 0.75,
            ramp_s: 5.0,
            hold_s: 6.0,
            room: (options.sessions / 16).max(1),
            period_s: 30.0,
            trace,
        });
        let schedule = Schedule::draw(&scenario, HTTP_SHARE, options.seed);
        Ok(Self {
            secret,
            schedule,
            scenario,
        })
    }

    /// What is about to happen, in words.
    pub(super) fn describe(&self) -> String {
        let capacity = node_capacity();
        format!(
            "{} backends of {WORKERS} workers and {} ms mean service time: {capacity:.0} work items/s each.\n\
             {} users send {} work items in {} s, {:.0} % of all capacity on average; {} times a room heats up.\n",
            NODES.len(),
            SERVICE_TIME.as_millis(),
            self.schedule.users(),
            self.schedule.items().len(),
            self.schedule.seconds(),
            self.schedule.items().len() as f64
                / f64::from(self.schedule.seconds())
                / (capacity * NODES.len() as f64)
                * 100.0,
            self.scenario.surges.len(),
        )
    }
}

/// On which node each user lives before anything was moved.
fn homes(secret: [u8; 16], users: usize) -> anyhow::Result<Vec<usize>> {
    let pool = PoolName::new(POOL)?;
    let node = |id: &&str| {
        Ok(MapNode {
            id: NodeId::new(id)?,
            weight: 1.0,
            state: NodeState::Ready,
        })
    };
    let nodes = NODES.iter().map(node).collect::<anyhow::Result<Vec<_>>>()?;
    let map = AffinityMap::build(1, nodes, BALANCE_FACTOR);
    let keyed = Keyed::new(&Secret::from_bytes(secret), &pool);
    let home = |number| {
        let session = keyed.session(user(number).as_bytes());
        map.lookup(session).map_or(0, |index| usize::from(index.0))
    };
    Ok((0..users).map(home).collect())
}
