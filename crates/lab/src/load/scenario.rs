//! Who sends how much, when: rooms that heat up.
//!
//! Users send at a steady base rate. Now and then a room (a match, a document, a symbol, a tenant) draws its members'
//! attention: within seconds they send many times as much, for a while. A room's members live on one node, as
//! they do where a service keeps together what belongs together, so the node carries the whole surge while
//! the other nodes have room. One train of surges comes on a fixed period to the same node (rounds of a
//! game that begin each half minute, always with another room), one comes to changing nodes when it likes.

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;

use super::shape::{Trace, Trapezoid};

/// What a scenario is drawn from.
#[derive(Debug, Clone)]
pub struct ScenarioOptions {
    /// Of everything that is drawn.
    pub seed: u64,
    /// How long it lasts.
    pub seconds: u32,
    /// The node on which each user lives in the beginning, by number; its length is the number of users.
    pub homes: Vec<usize>,
    /// How many nodes there are.
    pub nodes: usize,
    /// Work items per second that one node can do.
    pub node_capacity: f64,
    /// Share of all nodes' capacity that is asked for all the time.
    pub base: f64,
    /// What a surge adds at its peak, as a share of one node's capacity.
    pub surge: f64,
    /// Seconds in which a surge rises.
    pub ramp_s: f64,
    /// Seconds for which it stays.
    pub hold_s: f64,
    /// Users in a room.
    pub room: usize,
    /// Period of the regular surges, in seconds.
    pub period_s: f64,
    /// How load rises and falls in place of the surges' own shape. At its peak it adds as much as a surge.
    pub trace: Option<Trace>,
}

/// A room that heats up.
#[derive(Debug, Clone, PartialEq)]
pub struct Surge {
    shape: Trapezoid,
    /// Its users, by number.
    pub users: Vec<usize>,
    /// What each of them sends in addition at the peak, in work items per second.
    pub added_per_s: f64,
}

impl Surge {
    /// When it begins, in seconds.
    pub fn start_s(&self) -> f64 {
        self.shape.start
    }
}

/// Everybody's rate at any time.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How long it lasts.
    pub seconds: u32,
    /// What each user sends all the time, in work items per second.
    pub base_per_s: Vec<f64>,
    /// The surges, by their beginning.
    pub surges: Vec<Surge>,
    trace: Option<Trace>,
}

impl Scenario {
    /// Draws a scenario. The same options give the same.
    pub fn draw(options: &ScenarioOptions) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(options.seed);
        let base_per_s = draw_base(options, &mut rng);
        let mut rooms = Rooms::new(options, &mut rng);
        let mut surges: Vec<Surge> = starts(options, &mut rng)
            .into_iter()
            .map(|(start, node)| surge(options, start, rooms.next(node)))
            .collect();
        surges.sort_by(|a, b| a.shape.start.total_cmp(&b.shape.start));
        Self {
            seconds: options.seconds,
            base_per_s,
            surges,
            trace: options.trace.clone(),
        }
    }

    /// The surges that a user is part of.
    pub(super) fn surges_of(&self, user: usize) -> impl Iterator<Item = &Surge> {
        self.surges
            .iter()
            .filter(move |surge| surge.users.contains(&user))
    }

    /// What a user with these surges sends at a time, in work items per second.
    pub(super) fn rate(&self, user: usize, surges: &[&Surge], seconds: f64) -> f64 {
        let added = surges
            .iter()
            .map(|surge| surge.added_per_s * self.height(surge, seconds));
        self.base_per_s[user] + added.sum::<f64>()
    }

    fn height(&self, surge: &Surge, seconds: f64) -> f64 {
        let height = surge.shape.at(seconds);
        match &self.trace {
            Some(trace) if height > 0.0 => height * trace.at(seconds) / trace.peak(f64::from(self.seconds)),
            _ => height,
        }
    }
}

/// Some users send a few times as much as others: log-normal, σ = 0.6.
fn draw_base(options: &ScenarioOptions, rng: &mut Pcg64Mcg) -> Vec<f64> {
    let weights: Vec<f64> = options.homes.iter().map(|_| (0.6 * normal(rng)).exp()).collect();
    let total = options.base * options.node_capacity * options.nodes as f64;
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum * total).collect()
}

fn normal(rng: &mut Pcg64Mcg) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// When surges begin, and on which node: one each period on the first node, one between at some time on another.
fn starts(options: &ScenarioOptions, rng: &mut Pcg64Mcg) -> Vec<(f64, usize)> {
    let (period, end) = (options.period_s, f64::from(options.seconds));
    let regular = rng.random_range(0..options.nodes.max(1));
    let mut starts = Vec::new();
    let mut start = period / 2.0;
    while start < end {
        starts.push((start, regular));
        let other = (regular + rng.random_range(1..options.nodes.max(2))) % options.nodes.max(1);
        starts.push((start + period * rng.random_range(0.4..0.6), other));
        start += period;
    }
    match options.trace {
        // With a trace somebody is hot all the time; who it is changes.
        Some(_) => starts.insert(0, (0.0, regular)),
        None => starts.retain(|(start, _)| *start < end),
    }
    starts
}

fn surge(options: &ScenarioOptions, start: f64, users: Vec<usize>) -> Surge {
    let added = options.surge * options.node_capacity;
    let hold = match options.trace {
        Some(_) => options.period_s / 2.0,
        None => options.hold_s,
    };
    let shape = Trapezoid {
        start,
        ramp: options.ramp_s,
        hold,
        fall: options.ramp_s,
    };
    Surge {
        shape,
        added_per_s: added / users.len().max(1) as f64,
        users,
    }
}

/// The users of each node in drawn order, handed out room by room.
struct Rooms {
    of_node: Vec<Vec<usize>>,
    next: Vec<usize>,
    size: usize,
}

impl Rooms {
    fn new(options: &ScenarioOptions, rng: &mut Pcg64Mcg) -> Self {
        let mut of_node = vec![Vec::new(); options.nodes];
        for (user, home) in options.homes.iter().enumerate() {
            if let Some(users) = of_node.get_mut(*home) {
                users.push(user);
            }
        }
        of_node.iter_mut().for_each(|users| users.shuffle(rng));
        Self {
            next: vec![0; options.nodes],
            of_node,
            size: options.room,
        }
    }

    /// Another room of the node; the first one again once all had their turn.
    fn next(&mut self, node: usize) -> Vec<usize> {
        let users = &self.of_node[node];
        if users.is_empty() {
            return Vec::new();
        }
        let size = self.size.min(users.len());
        let start = self.next[node];
        self.next[node] = start + size;
        (start..start + size).map(|at| users[at % users.len()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ScenarioOptions {
        ScenarioOptions {
            seed: 1,
            seconds: 120,
            homes: (0..200).map(|user| user % 4).collect(),
            nodes: 4,
            node_capacity: 200.0,
            base: 0.5,
            surge: 0.8,
            ramp_s: 6.0,
            hold_s: 8.0,
            room: 20,
            period_s: 30.0,
            trace: None,
        }
    }

    #[test]
    fn the_same_options_give_the_same_scenario_and_another_seed_gives_another() {
        let (one, same) = (Scenario::draw(&options()), Scenario::draw(&options()));
        let other = Scenario::draw(&ScenarioOptions { seed: 2, ..options() });
        assert_eq!((&one.base_per_s, &one.surges), (&same.base_per_s, &same.surges));
        assert_ne!(one.base_per_s, other.base_per_s);
    }

    #[test]
    fn base_and_surges_add_up_to_what_was_asked_for() {
        let scenario = Scenario::draw(&options());
        let base: f64 = scenario.base_per_s.iter().sum();
        assert!((base - 400.0).abs() < 1e-6, "{base}");
        for surge in &scenario.surges {
            let added = surge.added_per_s * surge.users.len() as f64;
            assert!((added - 160.0).abs() < 1e-6, "{added}");
            let homes: Vec<usize> = surge.users.iter().map(|user| user % 4).collect();
            assert!(homes.iter().all(|home| *home == homes[0]), "{homes:?}");
        }
    }

    #[test]
    fn a_trace_shapes_the_surges() {
        let trace = Trace::parse("0,0\n60,100\n120,0\n").unwrap();
        let scenario = Scenario::draw(&ScenarioOptions {
            trace: Some(trace),
            ..options()
        });
        let total = |seconds| -> f64 {
            let rate = |user| scenario.rate(user, &scenario.surges_of(user).collect::<Vec<_>>(), seconds);
            (0..200).map(rate).sum()
        };
        assert!(
            total(1.0) < 410.0 && total(60.0) > 500.0,
            "{} {}",
            total(1.0),
            total(60.0)
        );
    }
}
