//! Plays nodes, an operator and an ingress, and writes down what they did.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use foreshift_store::{Batch, Caller, Change, Engine, Error, If, Refusal, Select, Served, Sessions, Value};
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    check::{OPS_MAX, Recorded},
    model::{Answer, Did, Op, STAMP, Wrote},
};

const ID: SessionId = SessionId(7);
const NODES: [&str; 2] = ["a", "b"];
/// Operations of each client.
const OPS: usize = 16;
/// Keys beside the stamp.
const KEYS: u8 = 3;

/// What all clients share.
struct Stage {
    engine: Arc<dyn Engine>,
    sessions: Sessions,
    pool: PoolName,
    partition: PartitionName,
    clock: AtomicU64,
    ops: AtomicU32,
    history: Mutex<Vec<Recorded>>,
    /// The reigns that nodes were told of.
    told: Mutex<HashMap<&'static str, Epoch>>,
}

/// A history of six clients: two of each node, an operator who is not fenced, and the ingress, which moves the session.
pub(crate) async fn play(engine: Arc<dyn Engine>, seed: u64) -> Vec<Recorded> {
    let stage = Arc::new(Stage {
        sessions: Sessions::over(Arc::clone(&engine), Default::default()),
        engine,
        pool: PoolName::new("app").expect("a name"),
        partition: PartitionName::new("cart").expect("a name"),
        clock: AtomicU64::new(0),
        ops: AtomicU32::new(0),
        history: Mutex::default(),
        told: Mutex::default(),
    });
    let begun = stage
        .sessions
        .serving(&stage.pool, ID, &NodeId::new(NODES[0]).expect("an id"));
    assert!(matches!(begun, Served::Since(_)));
    stage.hand(NODES[0]).await;
    let mut clients = tokio::task::JoinSet::new();
    for (n, node) in [Some("a"), Some("a"), Some("b"), Some("b"), None]
        .into_iter()
        .enumerate()
    {
        let rng = SmallRng::seed_from_u64(seed << 8 | n as u64);
        clients.spawn(client(Arc::clone(&stage), node, rng));
    }
    clients.spawn(ingress(
        Arc::clone(&stage),
        SmallRng::seed_from_u64(seed << 8 | 255),
    ));
    while let Some(done) = clients.join_next().await {
        done.expect("no client panics");
    }
    let history = std::mem::take(&mut *stage.history.lock().expect("nobody panics"));
    assert!(history.len() <= OPS_MAX);
    history
}

async fn client(stage: Arc<Stage>, node: Option<&'static str>, mut rng: SmallRng) {
    let mut seen = Version(0);
    for _ in 0..OPS {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..6))).await;
        if rng.random_bool(0.35) {
            seen = stage.read().await.unwrap_or(seen);
        } else {
            seen = stage.write(node, seen, &mut rng).await.unwrap_or(seen);
        }
    }
}

async fn ingress(stage: Arc<Stage>, mut rng: SmallRng) {
    for n in 0..6 {
        tokio::time::sleep(Duration::from_millis(rng.random_range(5..25))).await;
        stage.hand(NODES[(n + 1) % 2]).await;
    }
}

impl Stage {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn begin(&self) -> (Op, u64) {
        (self.ops.fetch_add(1, Ordering::SeqCst), self.now())
    }

    fn record(&self, (op, called): (Op, u64), is_known: bool, did: Did) {
        let answered = if is_known { self.now() } else { u64::MAX };
        let recorded = Recorded {
            op,
            called,
            answered,
            did,
        };
        self.history.lock().expect("nobody panics").push(recorded);
    }

    async fn hand(&self, node: &'static str) {
        let began = self.begin();
        let id = NodeId::new(node).expect("an id");
        let (epoch, is_known) = match self.sessions.hand(&self.pool, ID, &id).await {
            Ok(epoch) => (epoch, true),
            // It was done or not. The engine knows, as nobody else hands it over.
            Err(Error::Unavailable { .. }) => match self.epoch().await {
                Some(epoch) if !self.is_told(epoch) => (epoch, false),
                _ => return,
            },
            Err(error) => panic!("{error}"),
        };
        self.record(began, is_known, Did::Hand(epoch));
        self.told.lock().expect("nobody panics").insert(node, epoch);
    }

    async fn epoch(&self) -> Option<Epoch> {
        let record = self
            .engine
            .record(ID)
            .await
            .expect("records are read without faults");
        record.map(|record| record.epoch)
    }

    fn is_told(&self, epoch: Epoch) -> bool {
        self.told
            .lock()
            .expect("nobody panics")
            .values()
            .any(|told| *told == epoch)
    }

    async fn read(&self) -> Option<Version> {
        let began = self.begin();
        let part = self
            .sessions
            .read(&Caller::own(), ID, &self.partition, Select::All)
            .await;
        let (keys, version) = match part {
            Ok(part) => {
                let keys = part.entries.iter().map(|entry| {
                    let value = entry.value.as_ref().expect("all was asked for");
                    let op = value.bytes.as_ref().try_into().expect("a write's number");
                    (entry.key[0], (Op::from_le_bytes(op), entry.version))
                });
                (keys.collect(), part.info.version)
            }
            Err(Error::Refused(Refusal::NotFound(_))) => (BTreeMap::new(), Version(0)),
            // Nothing is known of it, and it changed nothing.
            Err(Error::Unavailable { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        self.record(began, true, Did::Read(keys, version));
        Some(version)
    }

    async fn write(&self, node: Option<&'static str>, seen: Version, rng: &mut SmallRng) -> Option<Version> {
        let told = |node| self.told.lock().expect("nobody panics").get(node).copied();
        // A node that never served the session does not write.
        let epoch = match node {
            Some(node) => Some(told(node)?),
            None => None,
        };
        let caller = Caller {
            node: node.map(|node| NodeId::new(node).expect("an id")),
            epoch,
            ..Caller::own()
        };
        let began = self.begin();
        let condition = match rng.random_range(0..10) {
            0..4 if seen > Version(0) => If::Is(seen),
            9 => If::Absent,
            _ => If::Any,
        };
        let (changes, replace) = (changes(rng), rng.random_bool(0.1));
        let batch = batch(began.0, condition, replace, &changes);
        let answer = answer(self.sessions.write(&caller, ID, &self.partition, batch).await)?;
        let version = match answer {
            Answer::Done(version) | Answer::Conflict(None, version) => Some(version),
            _ => None,
        };
        let is_known = answer != Answer::Unknown;
        let wrote = Wrote {
            epoch,
            condition,
            replace,
            changes,
            answer,
        };
        self.record(began, is_known, Did::Write(wrote));
        version
    }
}

/// The stamp, and sometimes another key.
fn changes(rng: &mut SmallRng) -> Vec<(u8, If, bool)> {
    let mut changes = vec![(STAMP, If::Any, true)];
    if rng.random_bool(0.6) {
        let condition = match rng.random_range(0..6) {
            0 => If::Absent,
            1 => If::Present,
            _ => If::Any,
        };
        changes.push((rng.random_range(1..=KEYS), condition, rng.random_bool(0.75)));
    }
    changes
}

fn batch(op: Op, condition: If, replace: bool, changes: &[(u8, If, bool)]) -> Batch {
    let value = |is_set: bool| is_set.then(|| Value::bytes(Bytes::copy_from_slice(&op.to_le_bytes())));
    let change = |(key, condition, is_set): &(u8, If, bool)| Change {
        key: vec![*key].into(),
        condition: *condition,
        value: value(*is_set),
    };
    Batch {
        condition,
        replace,
        changes: changes.iter().map(change).collect(),
        ..Batch::default()
    }
}

/// `None`: it was not done for sure, which tells nothing.
fn answer(written: Result<foreshift_store::Written, Error>) -> Option<Answer> {
    Some(match written {
        Ok(written) => Answer::Done(written.version),
        Err(Error::Refused(Refusal::Conflict { key, found })) => {
            Answer::Conflict(key.map(|key| key[0]), found)
        }
        Err(Error::Refused(Refusal::Fenced { epoch, .. })) => Answer::Fenced(epoch),
        Err(Error::Unavailable { unknown: true, .. }) => Answer::Unknown,
        Err(Error::Unavailable { unknown: false, .. }) => return None,
        Err(error) => panic!("{error}"),
    })
}
