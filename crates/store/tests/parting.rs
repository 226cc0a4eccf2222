//! A partition whose parts are used apart is replayed in parts: what a node is not told, it is told the names of.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use foreshift_store::{Batch, Caller, Change, If, Portion, Sessions, Splitting, Value, engine::Memory};
use foreshift_wire::{
    NodeId, PartitionName, PartitionPattern, PoolName, Session, SessionId,
    entries::{Replica, decode, part_of},
};
use proptest::prelude::*;

const PARTS: [&str; 3] = ["inventory", "map", "quest"];

struct World {
    sessions: Sessions,
    pool: PoolName,
    game: PartitionName,
    nodes: [NodeId; 2],
    required: Vec<PartitionPattern>,
}

fn world(split: bool) -> World {
    let config = Session {
        split,
        ..Session::default()
    };
    World {
        sessions: Sessions::over(Arc::new(Memory::default()), config),
        pool: PoolName::new("app").unwrap(),
        game: PartitionName::new("game").unwrap(),
        nodes: ["a", "b"].map(|id| NodeId::new(id).unwrap()),
        required: vec![PartitionPattern::all()],
    }
}

impl World {
    async fn write(&self, id: u128, key: String, value: Option<usize>) {
        let change = Change {
            key: key.into(),
            condition: If::Any,
            value: value.map(|bytes| Value::bytes(vec![b'x'; bytes])),
        };
        let batch = Batch {
            changes: vec![change],
            ..Batch::default()
        };
        let written = self
            .sessions
            .write(&Caller::own(), SessionId(id), &self.game, batch)
            .await;
        written.expect("it is written");
    }

    async fn moves(&self, id: u128, to: usize) -> Vec<Portion> {
        let missing = self
            .sessions
            .missing(&self.pool, SessionId(id), &self.nodes[to], &self.required)
            .await;
        missing.expect("portions")
    }

    /// Sessions that each have three parts, and use these at a node. Their state is written before they are seen.
    async fn evidence(&self, ids: std::ops::Range<u128>, used: impl Fn(u128) -> Vec<&'static str>) {
        for id in ids {
            self.sessions.serving(&self.pool, SessionId(id), &self.nodes[0]);
            for part in used(id) {
                self.write(id, format!("{part}/1"), Some(600)).await;
            }
            self.moves(id, 1).await;
        }
    }
}

fn take(replica: &mut Replica, portions: &[Portion]) {
    for portion in portions {
        let body = match portion.encoding {
            Some(_) => zstd::decode_all(&*portion.body).expect("zstd").into(),
            None => portion.body.clone(),
        };
        replica
            .take(&decode(body, 1 << 20).expect("entries"))
            .expect("it holds what is changed");
    }
}

#[tokio::test]
async fn a_session_is_replayed_with_the_parts_that_it_uses_and_joined_again() {
    let world = world(true);
    world.evidence(0..100, |id| vec![PARTS[id as usize % 2]]).await;
    let views = world.sessions.splits();
    assert!(
        matches!(&views[0].decision, Splitting::Split { groups, .. } if groups.len() == 2),
        "{views:?}"
    );

    let (id, mut replica) = (1_000, Replica::default());
    world
        .sessions
        .serving(&world.pool, SessionId(id), &world.nodes[0]);
    for part in ["inventory", "map"] {
        world.write(id, format!("{part}/1"), Some(600)).await;
    }
    // In its next reign it uses one of them.
    world.moves(id, 0).await;
    world.write(id, "map/2".into(), Some(10)).await;
    let portions = world.moves(id, 1).await;
    take(&mut replica, &portions);
    let held = replica.partition(&world.game).expect("it is told");
    assert!(held.left.iter().eq(["inventory"]), "{:?}", held.left);
    assert!(held.keys.keys().eq(["map/1", "map/2"]), "{:?}", held.keys.keys());
    let counts = world.sessions.replay_stats().partitions[&world.game];
    assert!(counts.bytes_left >= 600, "{counts:?}");

    // Others come to use both: it is told all.
    world.evidence(2_000..2_300, |_| vec!["inventory", "map"]).await;
    assert!(
        matches!(world.sessions.splits()[0].decision, Splitting::Whole),
        "{:?}",
        world.sessions.splits()
    );
    take(&mut replica, &world.moves(id, 1).await);
    let held = replica.partition(&world.game).expect("it is told");
    assert_eq!((held.left.len(), held.keys.len()), (0, 3));
}

#[tokio::test]
async fn nothing_is_split_where_that_is_not_configured() {
    let world = world(false);
    world.evidence(0..200, |id| vec![PARTS[id as usize % 2]]).await;
    assert_eq!(world.sessions.splits(), []);
    assert_eq!(
        world.sessions.replay_stats().partitions[&world.game].bytes_left,
        0
    );
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize, u8, Option<usize>),
    /// To a node, which acknowledges or not.
    Move(usize, bool),
    Evidence(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize, 0..4u8, prop::option::weighted(0.8, 0..900usize)).prop_map(|(p, n, v)| Step::Write(p, n, v)),
        4 => (0..2usize, prop::bool::weighted(0.8)).prop_map(|(to, known)| Step::Move(to, known)),
        1 => any::<bool>().prop_map(Step::Evidence),
    ]
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (world, id) = (world(true), 1_000_000);
    world.evidence(0..120, |id| vec![PARTS[id as usize % 3]]).await;
    world
        .sessions
        .serving(&world.pool, SessionId(id), &world.nodes[0]);
    let mut replicas = [Replica::default(), Replica::default()];
    let mut whole = BTreeMap::new();
    let mut next = 1_000;
    for step in steps {
        match step {
            Step::Write(part, n, value) => {
                let key = format!("{}/{n}", PARTS[part]);
                match value {
                    Some(bytes) => drop(whole.insert(Bytes::from(key.clone()), bytes)),
                    None => drop(whole.remove(key.as_bytes())),
                }
                world.write(id, key, value).await;
            }
            Step::Evidence(is_apart) => {
                let used = |id: u128| {
                    if is_apart {
                        vec![PARTS[id as usize % 3]]
                    } else {
                        PARTS.to_vec()
                    }
                };
                world.evidence(next..next + 60, used).await;
                next += 60;
            }
            Step::Move(to, is_known) => {
                let portions = world.moves(id, to).await;
                take(&mut replicas[to], &portions);
                if !is_known {
                    continue;
                }
                for portion in &portions {
                    let (node, partition) = (&world.nodes[to], &portion.partition);
                    world
                        .sessions
                        .holds(SessionId(id), node, partition, portion.version);
                }
                let held = replicas[to].partition(&world.game).cloned().unwrap_or_default();
                let told = whole
                    .iter()
                    .filter(|(key, _)| !held.left.contains(part_of(key)))
                    .map(|(key, bytes)| (key, *bytes));
                let keys = held.keys.iter().map(|(key, entry)| (key, entry.bytes.len()));
                prop_assert!(
                    told.eq(keys),
                    "{:?} without {:?}, of {:?}",
                    held.keys,
                    held.left,
                    whole
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_not_told_is_named(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(run(steps))?;
    }
}
