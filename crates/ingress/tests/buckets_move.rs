//! Nodes come and go: keys follow their buckets, open sockets at once and the others with their next request.

mod common;

use std::collections::{HashMap, HashSet};

use common::{Cluster, HOOKS, node_id};
use foreshift_lab::{Answer, Backend, BackendOptions, HttpClient, Socket, SocketOptions, Style};
use foreshift_placement::{AffinityMap, MapNode};
use foreshift_wire::{IngressEvent, NodeId, NodeState};

const USERS: usize = 60;

fn map(states: &[NodeState]) -> AffinityMap {
    let node = |(index, state): (usize, &NodeState)| MapNode {
        id: node_id(index),
        weight: 1.0,
        state: *state,
    };
    AffinityMap::build(1, states.iter().enumerate().map(node).collect(), 1.25)
}

fn home(map: &AffinityMap, cluster: &Cluster, user: &str) -> NodeId {
    let index = map.lookup(cluster.session(user)).unwrap();
    map.nodes()[usize::from(index.0)].id.clone()
}

struct Crowd {
    sockets: Vec<Socket>,
    client: HttpClient,
    epochs: HashMap<String, (u64, u64)>,
}

/// The first half has a socket each, the second only sends requests.
fn user(n: usize) -> String {
    format!("user-{n}")
}

impl Crowd {
    async fn open(cluster: &Cluster) -> Self {
        let mut sockets = Vec::new();
        for n in 0..USERS / 2 {
            sockets.push(
                Socket::connect(&SocketOptions::new(cluster.address(), &user(n)))
                    .await
                    .unwrap(),
            );
        }
        Self {
            sockets,
            client: HttpClient::new(cluster.address()),
            epochs: HashMap::new(),
        }
    }

    /// Everybody says something; counters go on, and answers come from where the map says.
    async fn talk(&mut self, cluster: &Cluster, map: &AffinityMap) {
        for (n, socket) in self.sockets.iter_mut().enumerate() {
            socket.send(b"hello", Style::Text).await.unwrap();
            let (answer, _) = socket.next().await.expect("it is open");
            assert_eq!(answer.node, home(map, cluster, &user(n)).as_str(), "{}", user(n));
        }
        // Those with a socket too: all of a key lives on one node.
        for n in 0..USERS {
            let name = user(n);
            let answer = self.client.get("/work", &[("x-user", &name)]).await.unwrap();
            let answer: Answer = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(answer.node, home(map, cluster, &name).as_str(), "{name}");
            let (epoch, count) = self.epochs.entry(name.clone()).or_insert((answer.epoch, 0));
            assert_eq!(answer.epoch, *epoch, "{name}'s state was left behind");
            assert!(answer.count > *count, "{name}");
            *count = answer.count;
        }
    }
}

/// Waits until every bucket that changed owner is settled; returns how many sockets were switched.
async fn settled(cluster: &mut Cluster, old: &AffinityMap, new: &AffinityMap) -> u32 {
    let mut left: HashSet<u16> = old.changed_buckets(new).into_iter().collect();
    let mut switched = 0;
    while !left.is_empty() {
        let (bucket, connections, failed) = cluster
            .event(|event| match event {
                IngressEvent::BucketSettled {
                    bucket,
                    connections,
                    failed,
                    ..
                } => Some((bucket, connections, failed)),
                _ => None,
            })
            .await;
        assert_eq!(failed, 0);
        assert!(left.remove(&bucket), "{bucket} is settled once");
        switched += connections;
    }
    switched
}

#[tokio::test]
async fn keys_follow_their_buckets_when_nodes_join_drain_and_leave() {
    use NodeState::{Draining, Ready};
    let mut cluster = Cluster::start(2, HOOKS).await;
    let two = map(&[Ready, Ready]);
    let mut crowd = Crowd::open(&cluster).await;
    crowd.talk(&cluster, &two).await;

    let options = BackendOptions {
        name: node_id(2).to_string(),
        ..BackendOptions::default()
    };
    let third = Backend::start(options).await.unwrap();
    let addresses = [
        cluster.backend(0).address(),
        cluster.backend(1).address(),
        third.address(),
    ];
    cluster.backends.push(Some(third));
    cluster.set_state(2, addresses[2], Ready).await;
    let three = two.with_nodes(2, map(&[Ready, Ready, Ready]).nodes().to_vec());
    let leave = |from: &AffinityMap, to: &AffinityMap| {
        let moved = |n: &usize| home(from, &cluster, &user(*n)) != home(to, &cluster, &user(*n));
        (0..USERS / 2).filter(moved).count() as u32
    };
    let expected = leave(&two, &three);
    assert!(expected > 0, "the crowd is large enough that some move");
    assert_eq!(settled(&mut cluster, &two, &three).await, expected);
    crowd.talk(&cluster, &three).await;

    let drained = three.with_nodes(3, map(&[Draining, Ready, Ready]).nodes().to_vec());
    cluster.set_state(0, addresses[0], Draining).await;
    settled(&mut cluster, &three, &drained).await;
    crowd.talk(&cluster, &drained).await;
    for connection in cluster.ingress.connections(Default::default()).await {
        assert_ne!(connection.node, node_id(0), "{connection:?}");
    }

    let back = drained.with_nodes(4, map(&[Ready, Ready, Ready]).nodes().to_vec());
    cluster.set_state(0, addresses[0], Ready).await;
    settled(&mut cluster, &drained, &back).await;
    crowd.talk(&cluster, &back).await;

    for socket in crowd.sockets {
        let tally = socket.close().await;
        assert!(tally.is_clean(), "{tally:?}");
    }
}
