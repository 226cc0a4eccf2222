//! What a node is told makes its copy the partition, whatever it held before; and it is told no more than it lacks.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use foreshift_store::{
    Batch, Caller, Change, Engine, Error, Expiry, If, Portion, Refusal, Select, Sessions, Value,
    engine::{Memory, Record},
};
use foreshift_wire::{
    NodeId, PartitionName, PartitionPattern, PoolName, Session, SessionId, SessionPartition, Version,
    entries::{Item, Replica, decode},
};
use proptest::prelude::*;

const ID: SessionId = SessionId(7);

fn sessions(config: Session) -> (Sessions, PoolName) {
    let sessions = Sessions::over(Arc::new(Memory::default()), config);
    let pool = PoolName::new("app").unwrap();
    sessions.serving(&pool, ID, &node("a"));
    (sessions, pool)
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn name(name: &str) -> PartitionName {
    PartitionName::new(name).unwrap()
}

fn patterns(patterns: &[&str]) -> Vec<PartitionPattern> {
    patterns.iter().map(|p| p.parse().unwrap()).collect()
}

fn change(key: impl Into<Bytes>, value: Option<Bytes>) -> Change {
    Change {
        key: key.into(),
        condition: If::Any,
        value: value.map(Value::bytes),
    }
}

async fn write(sessions: &Sessions, partition: &str, changes: Vec<Change>, replace: bool, expiry: Expiry) {
    let batch = Batch {
        changes,
        replace,
        expiry,
        ..Batch::default()
    };
    let written = sessions.write(&Caller::own(), ID, &name(partition), batch).await;
    written.expect("it is written");
}

fn items(portion: &Portion) -> Vec<Item> {
    let body = match portion.encoding {
        Some("zstd") => zstd::decode_all(&*portion.body).expect("zstd").into(),
        _ => portion.body.clone(),
    };
    decode(body, 1 << 20).expect("entries")
}

/// What a node does with portions: takes them, or says that it does not hold what they change, and is told all once.
async fn replay(
    sessions: &Sessions,
    pool: &PoolName,
    to: &NodeId,
    required: &[PartitionPattern],
    replica: &mut Replica,
) {
    for _ in 0..2 {
        let portions = sessions.missing(pool, ID, to, required).await.expect("portions");
        let mut is_held = true;
        for portion in &portions {
            match replica.take(&items(portion)) {
                Ok(()) => sessions.holds(ID, to, &portion.partition, portion.version),
                Err(_) => is_held = false,
            }
        }
        if is_held {
            return;
        }
        sessions.forgets(ID, to);
    }
    panic!("a node that was told all lacks something");
}

async fn whole(sessions: &Sessions, partition: &PartitionName) -> BTreeMap<Bytes, (Version, Bytes)> {
    match sessions.read(&Caller::own(), ID, partition, Select::All).await {
        Ok(part) => {
            let entry = |e: foreshift_store::Entry| (e.key, (e.version, e.value.expect("all").bytes));
            part.entries.into_iter().map(entry).collect()
        }
        Err(Error::Refused(Refusal::NotFound(_) | Refusal::NoSession)) => BTreeMap::new(),
        Err(error) => panic!("{error}"),
    }
}

fn held(replica: &Replica, partition: &PartitionName) -> BTreeMap<Bytes, (Version, Bytes)> {
    let keys = replica.partition(partition).map(|p| &p.keys);
    let entry = |(key, held): (&Bytes, &foreshift_wire::entries::HeldEntry)| {
        (key.clone(), (held.version, held.bytes.clone()))
    };
    keys.into_iter().flatten().map(entry).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// Keys of a partition are set (with so many bytes) or removed.
    Write(usize, Vec<(u8, Option<u8>)>, bool),
    /// So many keys are set and removed again: more than a partition remembers.
    Churn(usize, u16),
    Expire(usize),
    End,
    /// The session moves to a node, and its acknowledgements come or are lost.
    Move(usize, bool),
    /// A node loses its memory, and nobody knows.
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = prop::collection::vec((0u8..12, prop::option::of(any::<u8>())), 0..5);
    prop_oneof![
        8 => (0..3usize, keys, prop::bool::weighted(0.15)).prop_map(|(p, keys, replace)| Step::Write(p, keys, replace)),
        1 => (0..3usize, 250..300u16).prop_map(|(p, n)| Step::Churn(p, n)),
        1 => (0..3usize).prop_map(Step::Expire),
        1 => Just(Step::End),
        6 => (0..2usize, prop::bool::weighted(0.8)).prop_map(|(n, acknowledged)| Step::Move(n, acknowledged)),
        1 => (0..2usize).prop_map(Step::Restart),
    ]
}

const PARTITIONS: [&str; 3] = ["cart", "game/map", "auth"];

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let config = Session {
        compress_over: 200,
        ..Session::default()
    };
    let (sessions, pool) = sessions(config);
    let nodes = [node("a"), node("b")];
    let required = patterns(&["cart", "game/*"]);
    let mut replicas = [Replica::default(), Replica::default()];
    for step in steps {
        match step {
            Step::Write(partition, keys, replace) => {
                let value = |size: u8| Bytes::from(vec![size; usize::from(size)]);
                let keys: BTreeMap<u8, Option<u8>> = keys.into_iter().collect();
                let changes = keys
                    .into_iter()
                    .map(|(key, size)| change(vec![key], size.map(value)));
                write(
                    &sessions,
                    PARTITIONS[partition],
                    changes.collect(),
                    replace,
                    Expiry::Keep,
                )
                .await;
            }
            Step::Churn(partition, keys) => {
                let all =
                    |value: Option<Bytes>| (0..keys).map(|n| change(n.to_string(), value.clone())).collect();
                write(
                    &sessions,
                    PARTITIONS[partition],
                    all(Some("v".into())),
                    false,
                    Expiry::Keep,
                )
                .await;
                write(&sessions, PARTITIONS[partition], all(None), false, Expiry::Keep).await;
            }
            Step::Expire(partition) => {
                write(&sessions, PARTITIONS[partition], vec![], false, Expiry::At(1)).await;
            }
            Step::End => match sessions.end(&Caller::own(), ID).await {
                // The nodes do not hear of it; it begins anew.
                Ok(()) | Err(Error::Refused(Refusal::NoSession)) => {
                    sessions.serving(&pool, ID, &nodes[0]);
                }
                Err(error) => panic!("{error}"),
            },
            Step::Move(to, true) => {
                let (node, replica) = (&nodes[to], &mut replicas[to]);
                replay(&sessions, &pool, node, &required, replica).await;
                for partition in PARTITIONS.map(name) {
                    let is_required = required.iter().any(|p| p.matches(&partition));
                    let expected = match is_required {
                        true => whole(&sessions, &partition).await,
                        false => BTreeMap::new(),
                    };
                    prop_assert_eq!(held(replica, &partition), expected, "{}", partition);
                }
                let again = sessions
                    .missing(&pool, ID, node, &required)
                    .await
                    .expect("portions");
                prop_assert!(again.is_empty(), "it holds all: {again:?}");
            }
            Step::Move(to, false) => {
                let portions = sessions
                    .missing(&pool, ID, &nodes[to], &required)
                    .await
                    .expect("portions");
                for portion in &portions {
                    // Where it does not hold what is changed, nothing was taken.
                    let _ = replicas[to].take(&items(portion));
                }
            }
            Step::Restart(at) => {
                replicas[at] = Replica::default();
                // Meanwhile the session is served by the other.
                sessions
                    .missing(&pool, ID, &nodes[1 - at], &required)
                    .await
                    .expect("portions");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn portions_make_any_earlier_copy_the_partition(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(run(steps))?;
    }
}

/// Eight partitions with 64 KiB of values that do not compress to nothing: JSON with numbers in it.
async fn eight_partitions(sessions: &Sessions) -> u64 {
    let mut state = 1u64;
    let mut number = || {
        // Numbers that look random, and are the same in each run (Knuth's MMIX generator).
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state >> 33
    };
    for partition in 0..8 {
        let value = |n: u64| Bytes::from(format!("{{\"id\":{n},\"count\":{:>484}}}", n % 1000));
        let changes = (0..16)
            .map(|key| change(format!("item/{key}"), Some(value(number()))))
            .collect();
        write(sessions, &format!("p{partition}"), changes, false, Expiry::Keep).await;
    }
    let mut bytes = 0;
    for partition in 0..8 {
        let entries = whole(sessions, &name(&format!("p{partition}"))).await;
        bytes += entries
            .iter()
            .map(|(key, (_, value))| key.len() + value.len())
            .sum::<usize>();
    }
    bytes as u64
}

#[tokio::test]
async fn a_node_is_sent_what_it_requires_and_of_what_it_holds_only_the_change() {
    // Without compression, so that selection and deltas alone do it.
    for (compress_over, selected_percent, delta_percent) in [(u64::MAX, 30, 5), (1024, 30, 5)] {
        let (sessions, pool) = sessions(Session {
            compress_over,
            ..Session::default()
        });
        let all = eight_partitions(&sessions).await;
        assert!((64 * 1024..70 * 1024).contains(&all), "{all} bytes");
        let (b, required) = (node("b"), patterns(&["p1", "p2"]));
        let sent = |portions: &[Portion]| portions.iter().map(|p| p.body.len() as u64).sum::<u64>();
        let first = sessions.missing(&pool, ID, &b, &required).await.unwrap();
        assert_eq!(first.len(), 2);
        assert!(
            sent(&first) * 100 <= all * selected_percent,
            "{} of {all} bytes",
            sent(&first)
        );
        for portion in &first {
            sessions.holds(ID, &b, &portion.partition, portion.version);
        }
        // Meanwhile another node serves it and writes two values of the 32.
        sessions.missing(&pool, ID, &node("a"), &required).await.unwrap();
        for partition in ["p1", "p2"] {
            let value = Some(Bytes::from(vec![b'x'; 500]));
            write(
                &sessions,
                partition,
                vec![change("item/3", value)],
                false,
                Expiry::Keep,
            )
            .await;
        }
        let second = sessions.missing(&pool, ID, &b, &required).await.unwrap();
        assert_eq!(second.len(), 2);
        assert!(second.iter().all(|p| p.since > Version(0)));
        assert!(
            sent(&second) * 100 <= all * delta_percent,
            "{} of {all} bytes",
            sent(&second)
        );
        let stats = sessions.replay_stats();
        let counts = stats.partitions[&name("p1")];
        // To b twice, to a once.
        assert_eq!((counts.portions, counts.deltas, counts.acknowledged), (3, 1, 1));
        assert!(counts.bytes_held > 7 * 1024, "{counts:?}");
        assert!(stats.bytes_not_required >= 2 * all * 6 / 8, "{stats:?}");
    }
}

#[tokio::test]
async fn a_secret_goes_only_where_it_is_required_by_name() {
    let secret = SessionPartition {
        name: "auth".parse().unwrap(),
        pool: None,
        max_bytes: None,
        lifetime: None,
        required_by: vec!["c".into()],
        secret: true,
    };
    let (sessions, pool) = sessions(Session {
        partition: vec![secret],
        ..Session::default()
    });
    for partition in ["auth", "cart"] {
        write(
            &sessions,
            partition,
            vec![change("k", Some("v".into()))],
            false,
            Expiry::Keep,
        )
        .await;
    }
    for (to, required, told) in [
        ("a", &["*"][..], &["cart"][..]),
        ("a", &["auth"], &["auth"]),
        ("b", &[], &[]),
        ("c", &[], &["auth"]),
    ] {
        let portions = sessions
            .missing(&pool, ID, &node(to), &patterns(required))
            .await
            .unwrap();
        let names: Vec<_> = portions.iter().map(|p| p.partition.as_str()).collect();
        assert_eq!(names, told, "{to} {required:?}");
    }
}

#[tokio::test]
async fn a_token_fetches_once_what_its_node_lacks() {
    let (sessions, pool) = sessions(Session::default());
    for partition in ["auth", "cart", "log"] {
        write(
            &sessions,
            partition,
            vec![change("k", Some("v".into()))],
            false,
            Expiry::Keep,
        )
        .await;
    }
    let (b, within) = (node("b"), std::time::Duration::from_secs(60));
    let mut replica = Replica::default();
    let token = sessions.ticket(&pool, ID, &b, &patterns(&["auth", "cart"]), within);
    let redeemed = sessions.redeem(ID, &token).expect("it is good");
    assert!(matches!(
        sessions.redeem(ID, &token),
        Err(Refusal::Forbidden { .. })
    ));
    let pulled = sessions.pull(&redeemed, &BTreeMap::new(), true).await.unwrap();
    assert_eq!(pulled.encoding, None, "it is small");
    replica.take(&decode(pulled.body, 100).unwrap()).unwrap();
    let versions = |replica: &Replica| -> BTreeMap<_, _> {
        replica
            .partitions()
            .map(|(name, p)| (name.clone(), p.version))
            .collect()
    };
    assert_eq!(versions(&replica).len(), 2);

    write(
        &sessions,
        "cart",
        vec![change("l", Some(vec![b'x'; 4096].into()))],
        false,
        Expiry::Keep,
    )
    .await;
    write(&sessions, "auth", vec![], false, Expiry::At(1)).await;
    let pulled = sessions.pull(&redeemed, &versions(&replica), true).await.unwrap();
    assert_eq!(pulled.encoding, Some("zstd"));
    let body = zstd::decode_all(&*pulled.body).unwrap();
    replica.take(&decode(body.into(), 8192).unwrap()).unwrap();
    assert_eq!(
        held(&replica, &name("cart")),
        whole(&sessions, &name("cart")).await
    );
    assert_eq!(
        replica.partition(&name("auth")),
        None,
        "it ended, and the node was told"
    );
}

#[tokio::test]
async fn a_session_without_state_costs_no_record_and_a_revoked_one_is_not_told() {
    let engine = Arc::new(Memory::default());
    let sessions = Sessions::over(engine.clone(), Session::default());
    let (pool, all) = (PoolName::new("app").unwrap(), patterns(&["*"]));
    sessions.serving(&pool, ID, &node("a"));
    let told = sessions.missing(&pool, ID, &node("a"), &all).await;
    assert_eq!(told.unwrap(), []);
    assert_eq!(engine.record(ID).await.unwrap(), None, "nobody used it");

    write(
        &sessions,
        "cart",
        vec![change("k", Some("v".into()))],
        false,
        Expiry::Keep,
    )
    .await;
    let record = engine.record(ID).await.unwrap().expect("it was used");
    let told = sessions.missing(&pool, ID, &node("b"), &all).await;
    assert_eq!(told.unwrap().len(), 1);
    assert_eq!(
        engine.record(ID).await.unwrap().as_ref(),
        Some(&record),
        "replay is no use"
    );
    let revoked = Record {
        revoked_ms: Some(1),
        ..record
    };
    let expected = engine.record(ID).await.unwrap();
    engine
        .clear(ID, expected, Some(revoked))
        .await
        .unwrap()
        .expect("cleared");
    let told = sessions.missing(&pool, ID, &node("b"), &all).await;
    assert!(matches!(told, Err(Error::Refused(Refusal::Revoked))), "{told:?}");
}
