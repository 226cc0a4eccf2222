//! One draw of a scenario: what is sent at which microsecond.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Scenario, Surge};

/// One work item that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Microseconds from the start.
    pub at_us: u64,
    /// Who sends it.
    pub user: u32,
    /// As an HTTP request rather than on the user's WebSocket.
    pub http: bool,
}

/// A recorded load, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    items: Vec<Item>,
    users: usize,
    seconds: u32,
}

impl Schedule {
    /// Draws a Poisson process with each user's rate. `http_share` of the items, 0 to 1, are HTTP requests.
    ///
    /// By thinning (Lewis & Shedler, 1979): candidates come at the user's highest rate, and each is kept with the
    /// probability that the rate at its time has of it.
    pub fn draw(scenario: &Scenario, http_share: f64, seed: u64) -> Self {
        let users = scenario.base_per_s.len();
        let mut items = Vec::new();
        for user in 0..users {
            let mut rng = Pcg64Mcg::seed_from_u64(seed ^ (user as u64 + 1) << 24);
            draw_user(scenario, user, http_share, &mut rng, &mut items);
        }
        items.sort_by_key(|item| (item.at_us, item.user));
        Self {
            items,
            users,
            seconds: scenario.seconds,
        }
    }

    /// The items, by time.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.users
    }

    /// How long it lasts.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }
}

fn draw_user(scenario: &Scenario, user: usize, http_share: f64, rng: &mut Pcg64Mcg, items: &mut Vec<Item>) {
    let surges: Vec<&Surge> = scenario.surges_of(user).collect();
    let highest = scenario.base_per_s[user] + surges.iter().map(|surge| surge.added_per_s).sum::<f64>();
    let end = f64::from(scenario.seconds);
    let mut time = 0.0;
    // A rate of zero makes the first gap infinite.
    loop {
        time -= (1.0 - rng.random::<f64>()).ln() / highest;
        if time >= end {
            return;
        }
        let keep = rng.random::<f64>() * highest < scenario.rate(user, &surges, time);
        let http = rng.random::<f64>() < http_share;
        if keep {
            items.push(Item {
                at_us: (time * 1e6) as u64,
                user: user as u32,
                http,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::ScenarioOptions;

    fn scenario() -> Scenario {
        Scenario::draw(&ScenarioOptions {
            seed: 1,
            seconds: 60,
            homes: (0..100).map(|user| user % 4).collect(),
            nodes: 4,
            node_capacity: 200.0,
            base: 0.5,
            surge: 1.0,
            ramp_s: 5.0,
            hold_s: 5.0,
            room: 10,
            period_s: 30.0,
            trace: None,
        })
    }

    #[test]
    fn a_schedule_rises_in_time_and_replays_from_its_seed() {
        let schedule = Schedule::draw(&scenario(), 0.2, 1);
        assert!(schedule.items().is_sorted_by_key(|item| item.at_us));
        assert_eq!(schedule, Schedule::draw(&scenario(), 0.2, 1));
        assert_ne!(schedule, Schedule::draw(&scenario(), 0.2, 2));
    }

    #[test]
    fn a_schedule_has_the_scenarios_load() {
        let schedule = Schedule::draw(&scenario(), 0.2, 1);
        let within = |from: u64, to: u64| {
            let range = from * 1_000_000..to * 1_000_000;
            schedule
                .items()
                .iter()
                .filter(|item| range.contains(&item.at_us))
                .count()
        };
        // 400 a second, and 200 more while the first surge (from 15 s on) is at its peak.
        let (calm, hot) = (within(0, 14) as f64 / 14.0, within(20, 25) as f64 / 5.0);
        assert!(
            (360.0..440.0).contains(&calm) && (540.0..660.0).contains(&hot),
            "{calm} {hot}"
        );
        let http = schedule.items().iter().filter(|item| item.http).count() as f64;
        let share = http / schedule.items().len() as f64;
        assert!((0.18..0.22).contains(&share), "{share}");
    }
}
