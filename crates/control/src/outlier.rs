//! Which nodes fail more than others, and for how long they are left out.
//!
//! The verdict is the pool's: workers only count, so that one that sees little does not judge alone. After Envoy's
//! outlier detection: errors in a row, and success rates far under the mean; each ejection is longer than the one
//! before until the node has behaved for a while; never more than a share of the nodes.
//!
//! Pure: callers pass the time. What an ejection does to requests is the ingress'.

use std::collections::BTreeMap;

use foreshift_wire::{Ejection, NodeId, NodeResilience, Outlier};

/// One pool's judge.
#[derive(Debug)]
pub(crate) struct Judge {
    settings: Outlier,
    nodes: BTreeMap<NodeId, Seen>,
    window_ends_ms: Option<u64>,
}

/// What is known of one node.
#[derive(Debug, Default)]
struct Seen {
    in_a_row: u32,
    answered: u64,
    failed: u64,
    ejected: Option<Ejection>,
    /// Ejections that make the next one longer.
    times: u32,
    ejected_in_window: bool,
}

/// What becomes of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Eject(NodeId, Ejection),
    Return(NodeId),
}

impl Judge {
    pub(crate) fn new(settings: &Outlier) -> Self {
        Self {
            settings: settings.clone(),
            nodes: BTreeMap::new(),
            window_ends_ms: None,
        }
    }

    /// Takes over an ejection that is under way already.
    pub(crate) fn restore(&mut self, node: &NodeId, ejected: &Ejection) {
        let seen = self.nodes.entry(node.clone()).or_default();
        seen.times = ejected.times;
        seen.ejected = Some(ejected.clone());
    }

    /// Takes in what the ingress counted since the last time.
    pub(crate) fn observe(&mut self, node: &NodeId, counted: &NodeResilience) {
        let seen = self.nodes.entry(node.clone()).or_default();
        seen.in_a_row = counted.failed_in_a_row;
        seen.answered += counted.answered;
        seen.failed += counted.failed;
    }

    /// Who is left out from now on, and who is back. `ready`: the nodes that could serve; others are forgotten.
    pub(crate) fn judge(&mut self, now_ms: u64, ready: &[NodeId]) -> Vec<Change> {
        self.nodes.retain(|id, _| ready.contains(id));
        let mut changes = Vec::new();
        for (id, seen) in &mut self.nodes {
            if seen
                .ejected
                .take_if(|ejected| ejected.until_ms <= now_ms)
                .is_some()
            {
                (seen.answered, seen.failed, seen.in_a_row) = (0, 0, 0);
                changes.push(Change::Return(id.clone()));
            }
        }
        let mut suspects = self.in_a_row();
        let interval = self.settings.interval.as_millis() as u64;
        let ends = *self.window_ends_ms.get_or_insert(now_ms + interval);
        if now_ms >= ends {
            suspects.extend(self.far_under_the_mean());
            self.begin_window(now_ms + interval);
        }
        for (id, reason) in suspects {
            if let Some(ejected) = self.eject(now_ms, &id, reason, ready.len()) {
                changes.push(Change::Eject(id, ejected));
            }
        }
        changes
    }

    fn in_a_row(&mut self) -> Vec<(NodeId, String)> {
        let limit = self.settings.consecutive_errors;
        let mut found = Vec::new();
        for (id, seen) in &mut self.nodes {
            let run = std::mem::take(&mut seen.in_a_row);
            if limit > 0 && run >= limit && seen.ejected.is_none() {
                found.push((id.clone(), format!("{run} errors in a row")));
            }
        }
        found
    }

    /// The worst first.
    fn far_under_the_mean(&self) -> Vec<(NodeId, String)> {
        let Outlier {
            success_rate_factor: factor,
            success_rate_nodes,
            success_rate_requests,
            ..
        } = self.settings;
        let enough =
            |seen: &&Seen| seen.answered >= u64::from(success_rate_requests) && seen.ejected.is_none();
        let rates: Vec<f64> = self.nodes.values().filter(enough).map(Seen::rate).collect();
        if factor <= 0.0 || rates.len() < success_rate_nodes as usize {
            return Vec::new();
        }
        let count = rates.len() as f64;
        let mean = rates.iter().sum::<f64>() / count;
        let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
        let least = mean - factor * variance.sqrt();
        let mut found: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, seen)| enough(seen) && seen.failed > 0 && seen.rate() < least)
            .map(|(id, seen)| (seen.rate(), id.clone()))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let told = |(rate, id): (f64, NodeId)| {
            let (rate, mean) = (100.0 * rate, 100.0 * mean);
            (
                id,
                format!("{rate:.1} % of its answers are good, {mean:.1} % on average"),
            )
        };
        found.into_iter().map(told).collect()
    }

    fn begin_window(&mut self, ends_ms: u64) {
        self.window_ends_ms = Some(ends_ms);
        for seen in self.nodes.values_mut() {
            if seen.ejected.is_none() && !std::mem::take(&mut seen.ejected_in_window) {
                seen.times = seen.times.saturating_sub(1);
            }
            (seen.answered, seen.failed) = (0, 0);
        }
    }

    fn eject(&mut self, now_ms: u64, id: &NodeId, reason: String, ready: usize) -> Option<Ejection> {
        let out = self.nodes.values().filter(|seen| seen.ejected.is_some()).count();
        let seen = self.nodes.get_mut(id)?;
        if seen.ejected.is_some() || out >= most(ready, self.settings.ejected_max) {
            return None;
        }
        seen.times = seen.times.saturating_add(1);
        seen.ejected_in_window = true;
        let long = self.settings.ejection_time.as_millis() as u64;
        let long = long.saturating_mul(seen.times.into());
        let ejected = Ejection {
            since_ms: now_ms,
            until_ms: now_ms + long.min(self.settings.ejection_time_max.as_millis() as u64),
            times: seen.times,
            reason,
        };
        seen.ejected = Some(ejected.clone());
        Some(ejected)
    }
}

impl Seen {
    fn rate(&self) -> f64 {
        1.0 - self.failed as f64 / self.answered.max(1) as f64
    }
}

/// Of so many nodes, so many may be left out at once.
fn most(ready: usize, share: f64) -> usize {
    let share = (ready as f64 * share).floor() as usize;
    share.max(1).min(ready.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use foreshift_wire::Duration;
    use proptest::prelude::*;

    use super::*;

    fn ids(count: usize) -> Vec<NodeId> {
        (0..count)
            .map(|n| NodeId::new(&format!("n{n}")).unwrap())
            .collect()
    }

    fn counted(in_a_row: u32, answered: u64, failed: u64) -> NodeResilience {
        NodeResilience {
            failed_in_a_row: in_a_row,
            answered,
            failed,
            ..Default::default()
        }
    }

    fn ejected(changes: &[Change]) -> Vec<(&str, u64)> {
        let one = |change: &Change| match change {
            Change::Eject(id, ejected) => Some((id.as_str().to_owned(), ejected.until_ms - ejected.since_ms)),
            Change::Return(_) => None,
        };
        changes
            .iter()
            .filter_map(one)
            .map(|(id, ms)| (&*Box::leak(id.into_boxed_str()), ms))
            .collect()
    }

    #[test]
    fn errors_in_a_row_eject_for_longer_each_time_and_less_after_it_behaved() {
        let ids = ids(3);
        let mut judge = Judge::new(&Outlier::default());
        let mut now = 0;
        judge.observe(&ids[0], &counted(4, 4, 4));
        assert_eq!(judge.judge(now, &ids), []);
        for round in 1..=3 {
            judge.observe(&ids[0], &counted(5, 5, 5));
            assert_eq!(ejected(&judge.judge(now, &ids)), [("n0", round * 30_000)]);
            now += round * 30_000;
            assert_eq!(judge.judge(now, &ids), [Change::Return(ids[0].clone())]);
        }
        for _ in 0..20 {
            now += 10_000;
            judge.observe(&ids[0], &counted(0, 10, 0));
            assert_eq!(judge.judge(now, &ids), []);
        }
        judge.observe(&ids[0], &counted(9, 9, 9));
        assert_eq!(ejected(&judge.judge(now, &ids)), [("n0", 30_000)]);
    }

    #[test]
    fn no_ejection_is_longer_than_the_longest() {
        let ids = ids(2);
        let mut judge = Judge::new(&Outlier {
            ejection_time_max: Duration::from_secs(45),
            ..Default::default()
        });
        for expected in [30_000, 45_000, 45_000] {
            judge.observe(&ids[0], &counted(5, 5, 5));
            assert_eq!(ejected(&judge.judge(1, &ids)), [("n0", expected)]);
            let seen = judge.nodes.get_mut(&ids[0]).unwrap();
            seen.ejected.as_mut().unwrap().until_ms = 1;
            assert_eq!(judge.judge(1, &ids), [Change::Return(ids[0].clone())]);
        }
    }

    #[test]
    fn a_success_rate_far_under_the_mean_ejects_where_enough_is_known() {
        let fails = |nodes: usize, requests: u64, bad: u64| {
            let ids = ids(nodes);
            let mut judge = Judge::new(&Outlier::default());
            judge.judge(0, &ids);
            for (n, id) in ids.iter().enumerate() {
                judge.observe(
                    id,
                    &counted(0, requests, if n == 0 { bad } else { requests / 100 }),
                );
            }
            assert_eq!(judge.judge(9_999, &ids), [], "not before the interval has passed");
            !judge.judge(10_000, &ids).is_empty()
        };
        for (nodes, requests, bad, expected) in [
            (10, 200, 60, true),
            (10, 200, 2, false),
            (4, 200, 60, false),
            (10, 99, 60, false),
            (5, 200, 200, true),
        ] {
            assert_eq!(fails(nodes, requests, bad), expected, "{nodes} {requests} {bad}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_is_out_and_never_the_last_one(
            count in 1_usize..12,
            share in 0.0..1.0_f64,
            steps in prop::collection::vec((0_usize..12, 0_u32..8, 0_u64..20_000), 1..120),
        ) {
            let ids = ids(count);
            let mut judge = Judge::new(&Outlier { ejected_max: share, ..Default::default() });
            let mut out = std::collections::BTreeSet::new();
            let mut now = 0;
            for (node, run, pause) in steps {
                now += pause;
                judge.observe(&ids[node % count], &counted(run, 200, u64::from(run) * 20));
                for change in judge.judge(now, &ids) {
                    match change {
                        Change::Eject(id, ejection) => {
                            prop_assert!(ejection.until_ms > now && ejection.until_ms <= now + 300_000);
                            prop_assert!(out.insert(id));
                        }
                        Change::Return(id) => prop_assert!(out.remove(&id)),
                    }
                }
                let most = ((count as f64 * share).floor() as usize).max(1);
                prop_assert!(out.len() <= most && out.len() < count, "{} of {count}", out.len());
            }
        }
    }
}
