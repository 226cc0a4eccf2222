//! When the clients of a process that leaves are told to go on with the next one, and when the rest is closed.
//!
//! Pure: times are arguments, counted from the beginning of the leave.

use std::{collections::HashMap, time::Duration};

use foreshift_migration::Pacer;
use foreshift_wire::NodeId;

/// The longest time that closing is spread over.
const CLOSING_MAX: Duration = Duration::from_secs(300);

/// The end of the patience, over which what is left is closed.
pub(crate) fn closing_time(patience: Duration) -> Duration {
    (patience / 4).min(CLOSING_MAX)
}

/// When the stream at `index` of so many is closed, from the beginning of a time that closing is spread over.
pub(crate) fn closing_turn(index: usize, of: usize, within: Duration) -> Duration {
    within.mul_f64((index as f64 + 0.5) / of.max(1) as f64)
}

/// When each client is to come back.
pub(crate) struct Returns {
    /// By pool and node: no more than so many in a second come to each.
    pacers: HashMap<(usize, NodeId), Pacer>,
    /// Closing begins then.
    until: Duration,
}

impl Returns {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            pacers: HashMap::new(),
            until: patience.saturating_sub(closing_time(patience)),
        }
    }

    /// After what delay the next client may come to a node, and how long it may take. `None` where there is no time left:
    /// it is closed with all others.
    pub(crate) fn plan(
        &mut self,
        to: &(usize, NodeId),
        per_second: u32,
        within: Duration,
        now: Duration,
    ) -> Option<(Duration, Duration)> {
        let pacer = self
            .pacers
            .entry(to.clone())
            .or_insert_with(|| Pacer::new(per_second, 1));
        let at = pacer.reserve(now);
        let left = self.until.checked_sub(at).filter(|left| !left.is_zero())?;
        Some((at - now, within.min(left)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(node: &str) -> (usize, NodeId) {
        (0, NodeId::new(node).unwrap())
    }

    proptest! {
        #[test]
        fn no_second_sees_more_at_a_node_than_its_pool_allows_and_all_come_before_the_rest_is_closed(
            clients in 1_usize..200, per_second in 1_u32..60, patience_ms in 0_u64..20_000, within_ms in 1_u64..40_000,
        ) {
            let patience = Duration::from_millis(patience_ms);
            let mut returns = Returns::new(patience);
            let mut arrivals = Vec::new();
            for index in 0..clients {
                let now = Duration::from_millis(index as u64);
                let within = Duration::from_millis(within_ms);
                if let Some((delay, within)) = returns.plan(&to("a"), per_second, within, now) {
                    prop_assert!(now + delay + within <= patience - closing_time(patience));
                    arrivals.push(now + delay);
                }
            }
            for (index, first) in arrivals.iter().enumerate() {
                let second = arrivals[index..].iter().take_while(|at| **at < *first + Duration::from_secs(1));
                prop_assert!(second.count() <= per_second as usize);
            }
        }
    }

    #[test]
    fn streams_are_closed_evenly_within_the_last_quarter() {
        let within = closing_time(Duration::from_secs(40));
        let turns: Vec<_> = (0..4).map(|i| closing_turn(i, 4, within).as_millis()).collect();
        assert_eq!(turns, [1_250, 3_750, 6_250, 8_750]);
        assert_eq!(closing_time(Duration::from_secs(86_400)), CLOSING_MAX);
        assert_eq!(closing_turn(0, 1, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn nodes_do_not_wait_for_each_other() {
        let mut returns = Returns::new(Duration::from_secs(20));
        let within = Duration::from_secs(30);
        let mut plan = |node: &str| returns.plan(&to(node), 1, within, Duration::ZERO);
        let seconds = Duration::from_secs;
        assert_eq!(plan("a"), Some((seconds(0), seconds(15))));
        assert_eq!(plan("a"), Some((seconds(1), seconds(14))));
        assert_eq!(plan("b"), Some((seconds(0), seconds(15))));
    }
}
