//! Hundreds of busy WebSockets while their keys move every few milliseconds, and while nodes are killed.

mod common;

use std::{collections::HashMap, time::Duration};

use common::{Cluster, HOOKS, node_id};
use foreshift_lab::{Backend, BackendOptions, Swarm, SwarmOptions};
use foreshift_wire::{ConnectionFilter, IngressEvent, MoveFailure, MoveId, NodeState, SessionId};
use tokio::time::{MissedTickBehavior, interval};

const KILLS: usize = 6;

/// The test in the planner's place: moves one key after the other to the next node.
struct Planner {
    users: usize,
    next: usize,
    /// Where each key is.
    homes: Vec<usize>,
    under_way: HashMap<MoveId, (usize, usize)>,
    ended: Vec<Result<Vec<u64>, MoveFailure>>,
}

impl Planner {
    async fn new(cluster: &Cluster, users: usize) -> Self {
        let connections = cluster.ingress.connections(ConnectionFilter::default()).await;
        let home = |user: usize| {
            let key = format!("user-{user}");
            let found = connections
                .iter()
                .find(|c| c.key == key)
                .expect("it is connected");
            index(&found.node)
        };
        Self {
            users,
            next: 0,
            homes: (0..users).map(home).collect(),
            under_way: HashMap::new(),
            ended: Vec::new(),
        }
    }

    /// Orders the next move, to a node that `usable` lets through.
    async fn order(&mut self, cluster: &mut Cluster, usable: &[usize]) {
        let user = self.next % self.users;
        self.next += 1;
        if self.under_way.values().any(|(u, _)| *u == user) {
            return;
        }
        let from = self.homes[user];
        let Some(to) = usable
            .iter()
            .copied()
            .cycle()
            .skip(user % 7)
            .take(8)
            .find(|n| *n != from)
        else {
            return;
        };
        let id = cluster.order(&format!("user-{user}"), from, to).await;
        self.under_way.insert(id, (user, to));
    }

    /// Settles what has ended.
    async fn settle(&mut self, cluster: &mut Cluster) {
        while let Ok(event) = cluster.events.try_recv() {
            self.hear(cluster, event).await;
        }
    }

    async fn hear(&mut self, cluster: &Cluster, event: IngressEvent) {
        match event {
            IngressEvent::HandedOver {
                move_id: Some(id),
                session,
                pauses_us,
                failure,
                ..
            } => {
                let Some((user, to)) = self.under_way.remove(&id) else {
                    return;
                };
                if failure.is_none() {
                    self.homes[user] = to;
                }
                cluster.settle(session, &node_id(self.homes[user])).await;
                let pauses = pauses_us.into_iter().map(|(_, pause)| pause).collect();
                self.ended.push(failure.map_or(Ok(pauses), Err));
            }
            IngressEvent::FailedOver {
                session,
                to: Some(to),
                ..
            } => self.went(cluster, session, index(&to)),
            _ => {}
        }
    }

    fn went(&mut self, cluster: &Cluster, session: SessionId, to: usize) {
        let user = (0..self.users).find(|u| cluster.session(&format!("user-{u}")) == session);
        self.homes[user.expect("one of ours")] = to;
    }

    async fn finish(&mut self, cluster: &mut Cluster) {
        while !self.under_way.is_empty() {
            let event = cluster.event(Some).await;
            self.hear(cluster, event).await;
        }
    }
}

fn index(node: &foreshift_wire::NodeId) -> usize {
    node.as_str()[1..].parse().expect("as node_id names them")
}

fn every(millis: u64) -> tokio::time::Interval {
    let mut interval = interval(Duration::from_millis(millis));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_reordered_while_keys_move() {
    let mut cluster = Cluster::start(3, &format!("{HOOKS}migration_deadline = \"30s\"\n")).await;
    let options = SwarmOptions {
        sockets_per_user: 2,
        interval: Duration::from_millis(60),
        large_per_mille: 3,
        fragmented_per_mille: 200,
        patience: Duration::from_secs(60),
        ..SwarmOptions::new(cluster.address(), 240)
    };
    let swarm = Swarm::start(options).await.unwrap();
    let mut planner = Planner::new(&cluster, 120).await;
    let mut ticks = every(4);
    while planner.ended.len() < 600 {
        ticks.tick().await;
        planner.order(&mut cluster, &[0, 1, 2]).await;
        planner.settle(&mut cluster).await;
    }
    planner.finish(&mut cluster).await;
    let report = swarm.stop().await;
    assert!(report.tally.is_clean() && report.closed_early == 0, "{report:?}");
    assert!(report.tally.answered > 2000, "{report:?}");
    for ended in &planner.ended {
        assert_eq!(ended.as_ref().map(Vec::len), Ok(2), "both sockets of a key move");
    }
    let disorder: u64 = (0..3).map(|n| cluster.backend(n).stats().disorder).sum();
    assert_eq!(disorder, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_only_what_was_under_way_to_it() {
    let pool = format!("{HOOKS}failover = \"resume\"\nmigration_deadline = \"20s\"\n");
    let mut cluster = Cluster::start(4, &pool).await;
    let options = SwarmOptions {
        interval: Duration::from_millis(60),
        // A node that dies within a message leaves the client with half of it; see `websocket_violations`.
        large_per_mille: 0,
        patience: Duration::from_secs(3),
        ..SwarmOptions::new(cluster.address(), 160)
    };
    let swarm = Swarm::start(options).await.unwrap();
    let mut planner = Planner::new(&cluster, 160).await;
    let mut ticks = every(5);
    for kill in 0..KILLS {
        let dies = kill % 4;
        let before = planner.ended.len();
        // Between two deaths keys move.
        while planner.ended.len() < before + 30 {
            ticks.tick().await;
            planner.order(&mut cluster, &[0, 1, 2, 3]).await;
            planner.settle(&mut cluster).await;
        }
        // And while one is dead.
        let backend = cluster.backends[dies].take().unwrap();
        let address = backend.address();
        backend.kill().await;
        cluster.set_state(dies, address, NodeState::Down).await;
        let usable: Vec<usize> = (0..4).filter(|n| *n != dies).collect();
        let at_the_dead = ConnectionFilter {
            node: Some(node_id(dies)),
            ..ConnectionFilter::default()
        };
        while !cluster.ingress.connections(at_the_dead.clone()).await.is_empty() {
            ticks.tick().await;
            planner.order(&mut cluster, &usable).await;
            planner.settle(&mut cluster).await;
        }
        planner.finish(&mut cluster).await;
        // It comes back as somebody else.
        let options = BackendOptions {
            name: node_id(dies).to_string(),
            ..BackendOptions::default()
        };
        let backend = Backend::start(options).await.unwrap();
        cluster.set_state(dies, backend.address(), NodeState::Ready).await;
        cluster.backends[dies] = Some(backend);
    }
    planner.finish(&mut cluster).await;
    let report = swarm.stop().await;
    let tally = report.tally;
    assert_eq!(report.closed_early, 0, "{report:?}");
    let faults = (tally.duplicated, tally.reordered, tally.corrupted);
    assert_eq!(faults, (0, 0, 0), "{report:?}");
    // Each kill costs a socket what it had under way, which is seldom more than a message.
    assert!(tally.lost < KILLS as u64 * 160, "{report:?}");
    assert!(tally.answered > tally.sent * 8 / 10, "{report:?}");
}
