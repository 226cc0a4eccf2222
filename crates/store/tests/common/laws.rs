//! The law of engines: whatever is asked of one, in whatever order, it answers as the model in memory does.
//!
//! Times are virtual and lie [`START_MS`] after 1970, some years ahead, so that an engine whose store has a clock of its
//! own does not see anything end by it.

use std::collections::BTreeMap;

use bytes::Bytes;
use foreshift_store::engine::{Engine, Expiry, Fence, If, Memory, Outcome, Put, Record, Select, Write};
use foreshift_wire::{Epoch, NodeId, PartitionName, SessionId, Version};
use proptest::{collection::vec, prelude::*};

/// Where the virtual time starts, in Unix milliseconds.
pub(crate) const START_MS: u64 = 4_000_000_000_000;
/// Keys that a fill writes: enough that what a partition remembers of removed ones overflows.
const FILL: u16 = 200;

/// One thing that is asked of an engine. Small numbers choose among few sessions, names, keys and nodes.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Time goes on, or back.
    Pass(i32),
    /// Stores a record, expecting what is there or something else.
    Record {
        session: u8,
        expects: bool,
        owner: Option<u8>,
        epoch: u8,
        lives_ms: u16,
        is_revoked: bool,
    },
    /// Removes partitions, and the record or not.
    Clear { session: u8, expects: bool, keeps: bool },
    /// Writes.
    Write {
        session: u8,
        partition: u8,
        fence: (Option<u8>, Option<u8>),
        /// Above the last drawn version, or not above it.
        steps: i8,
        condition: u8,
        replace: bool,
        puts: Vec<(u8, u8, Option<Vec<u8>>)>,
        expiry: u8,
        max: (u8, u8),
    },
    /// Writes many keys, or removes them.
    Fill {
        session: u8,
        partition: u8,
        from: u16,
        removes: bool,
    },
    /// Reads.
    Read {
        session: u8,
        partition: u8,
        select: u8,
        keys: Vec<u8>,
        back: u8,
    },
}

fn write() -> impl Strategy<Value = Op> {
    let value = proptest::option::weighted(0.7, vec(any::<u8>(), 0..40));
    let puts = vec((0..8u8, 0..12u8, value), 0..5);
    let fence = (
        proptest::option::weighted(0.2, 0..3u8),
        proptest::option::weighted(0.2, 0..4u8),
    );
    let max = (
        prop_oneof![3 => Just(255u8), 1 => 0..120u8],
        prop_oneof![3 => Just(255u8), 1 => 0..200u8],
    );
    let steps = prop_oneof![6 => 1..4i8, 1 => -3..1i8];
    (
        0..3u8,
        0..4u8,
        fence,
        steps,
        0..12u8,
        proptest::bool::weighted(0.15),
        puts,
        0..8u8,
        max,
    )
        .prop_map(
            |(session, partition, fence, steps, condition, replace, puts, expiry, max)| Op::Write {
                session,
                partition,
                fence,
                steps,
                condition,
                replace,
                puts,
                expiry,
                max,
            },
        )
}

fn record() -> impl Strategy<Value = Op> {
    let expects = proptest::bool::weighted(0.8);
    let revoked = proptest::bool::weighted(0.1);
    (
        0..3u8,
        expects,
        proptest::option::of(0..3u8),
        0..4u8,
        0..9_000u16,
        revoked,
    )
        .prop_map(
            |(session, expects, owner, epoch, lives_ms, is_revoked)| Op::Record {
                session,
                expects,
                owner,
                epoch,
                lives_ms,
                is_revoked,
            },
        )
}

/// One thing to ask.
pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    let fill =
        (0..3u8, 0..4u8, 0..4u16, any::<bool>()).prop_map(|(session, partition, from, removes)| Op::Fill {
            session,
            partition,
            from: from * 100,
            removes,
        });
    let read = (0..3u8, 0..4u8, 0..4u8, vec(0..8u8, 0..6), 0..20u8).prop_map(
        |(session, partition, select, keys, back)| Op::Read {
            session,
            partition,
            select,
            keys,
            back,
        },
    );
    let expects = proptest::bool::weighted(0.7);
    prop_oneof![
        2 => (-300..2_000i32).prop_map(Op::Pass),
        3 => record(),
        1 => (0..3u8, expects, any::<bool>()).prop_map(|(session, expects, keeps)| Op::Clear { session, expects, keeps }),
        10 => write(),
        2 => fill,
        5 => read,
    ]
}

/// Any things to ask, sessions begun first.
pub(crate) fn any_ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let begin = |session| Op::Record {
        session,
        expects: true,
        owner: Some(0),
        epoch: 1,
        lives_ms: u16::MAX,
        is_revoked: false,
    };
    vec(any_op(), 1..most).prop_map(move |ops| (0..2).map(begin).chain(ops).collect())
}

/// Asks the same of an engine and of the model, and panics where the answers differ.
///
/// Sessions have ids from `base` to `base + 2`, which the engine must not know yet.
pub(crate) async fn answers_like_the_model(engine: &dyn Engine, base: u128, ops: &[Op]) {
    let mut law = Law {
        engine,
        model: Memory::default(),
        base,
        now_ms: START_MS,
        version: 1_000,
    };
    for op in ops {
        law.ask(op).await;
    }
    for session in 0..3 {
        law.compare_all(session).await;
    }
    law.compare_pages().await;
}

struct Law<'a> {
    engine: &'a dyn Engine,
    model: Memory,
    base: u128,
    now_ms: u64,
    version: u64,
}

impl Law<'_> {
    async fn ask(&mut self, op: &Op) {
        match op {
            Op::Pass(ms) => self.now_ms = self.now_ms.saturating_add_signed((*ms).into()),
            Op::Record {
                session,
                expects,
                owner,
                epoch,
                lives_ms,
                is_revoked,
            } => {
                let record = Record {
                    pool: None,
                    created_ms: START_MS,
                    used_ms: self.now_ms,
                    ends_ms: self.now_ms + u64::from(*lives_ms),
                    owner: owner.map(node),
                    epoch: Epoch((*epoch).into()),
                    revoked_ms: is_revoked.then_some(self.now_ms),
                    key: Bytes::from(vec![*epoch; 5]),
                };
                self.put(self.id(*session), *expects, record).await;
            }
            Op::Clear {
                session,
                expects,
                keeps,
            } => self.clear(self.id(*session), *expects, *keeps).await,
            Op::Write { .. } => {
                let write = self.write_of(op);
                self.write(write).await;
            }
            Op::Fill {
                session,
                partition,
                from,
                removes,
            } => {
                let puts = (*from..from + FILL).map(|n| (Bytes::from(format!("fill{n:04}")), !removes));
                let write = self.fill(*session, *partition, puts.collect());
                self.write(write).await;
            }
            Op::Read {
                session,
                partition,
                select,
                keys,
                back,
            } => {
                let select = match select {
                    0 => Select::All,
                    1 => Select::Head,
                    2 => Select::Keys(keys.iter().map(|n| key(*n)).collect()),
                    _ => Select::Since(Version(self.version - u64::from(*back))),
                };
                self.read(self.id(*session), name(*partition), select).await;
            }
        }
    }

    fn id(&self, session: u8) -> SessionId {
        SessionId(self.base + u128::from(session))
    }

    fn write_of(&mut self, op: &Op) -> Write {
        let Op::Write {
            session,
            partition,
            fence,
            steps,
            condition,
            replace,
            puts,
            expiry,
            max,
        } = op
        else {
            unreachable!("only asked for writes");
        };
        let version = self.version.saturating_add_signed((*steps).into());
        self.version = self.version.max(version);
        let mut puts: Vec<_> = puts.clone();
        puts.sort_by_key(|(key, ..)| *key);
        puts.dedup_by_key(|(key, ..)| *key);
        let limit = |max: u8| if max == 255 { 1 << 20 } else { u64::from(max) };
        Write {
            session: self.id(*session),
            partition: name(*partition),
            fence: Fence {
                node: fence.0.map(node),
                epoch: fence.1.map(|epoch| Epoch(epoch.into())),
            },
            version: Version(version),
            condition: self.condition(*condition),
            replace: *replace,
            puts: puts
                .into_iter()
                .map(|(k, condition, value)| Put {
                    key: key(k),
                    condition: self.condition(condition),
                    value: value.map(Bytes::from),
                })
                .collect(),
            expiry: match expiry {
                0 => Expiry::At(self.now_ms + 700),
                1 => Expiry::At(self.now_ms.saturating_sub(1)),
                2 => Expiry::Never,
                _ => Expiry::Keep,
            },
            max_bytes: limit(max.0),
            max_session_bytes: limit(max.1),
            now_ms: self.now_ms,
        }
    }

    fn fill(&mut self, session: u8, partition: u8, keys: Vec<(Bytes, bool)>) -> Write {
        self.version += 1;
        let put = |(key, is_there): (Bytes, bool)| Put {
            key,
            condition: If::Any,
            value: is_there.then(|| Bytes::from_static(b"full")),
        };
        Write {
            session: self.id(session),
            partition: name(partition),
            fence: Fence::default(),
            version: Version(self.version),
            condition: If::Any,
            replace: false,
            puts: keys.into_iter().map(put).collect(),
            expiry: Expiry::Keep,
            max_bytes: 1 << 20,
            max_session_bytes: 1 << 20,
            now_ms: self.now_ms,
        }
    }

    /// Mostly none; of versions, those that were drawn lately, so that they hold now and then.
    fn condition(&self, n: u8) -> If {
        match n {
            0 => If::Present,
            1 => If::Absent,
            2..4 => If::Is(Version(self.version - u64::from(n - 2))),
            _ => If::Any,
        }
    }

    async fn put(&self, id: SessionId, expects: bool, record: Record) {
        let found = self.model.record(id).await.expect("the model has no faults");
        let expected = match expects {
            true => found,
            false => Some(Record {
                used_ms: 1,
                ..record.clone()
            }),
        };
        let model = self.model.put_record(id, expected.clone(), record.clone()).await;
        let engine = self.engine.put_record(id, expected, record.clone()).await;
        assert_eq!(
            engine.expect("put_record"),
            model.expect("model"),
            "put_record {record:?}"
        );
    }

    async fn clear(&self, id: SessionId, expects: bool, keeps: bool) {
        let found = self.model.record(id).await.expect("model");
        let expected = match expects {
            true => found.clone(),
            false => Some(other()),
        };
        let record = found.filter(|_| keeps);
        let model = self.model.clear(id, expected.clone(), record.clone()).await;
        let engine = self.engine.clear(id, expected, record).await;
        assert_eq!(engine.expect("clear"), model.expect("model"), "clear");
    }

    async fn write(&self, write: Write) {
        let model = self.model.write(write.clone()).await.expect("model");
        let engine = self.engine.write(write.clone()).await.expect("write");
        assert_eq!(engine, model, "write {write:?}");
        if matches!(model, Outcome::Done { .. }) {
            self.read(write.session, write.partition, Select::Head).await;
        }
    }

    async fn read(&self, id: SessionId, name: PartitionName, select: Select) {
        let model = self
            .model
            .read(id, name.clone(), select.clone(), self.now_ms)
            .await;
        let engine = self
            .engine
            .read(id, name.clone(), select.clone(), self.now_ms)
            .await;
        assert_eq!(
            engine.expect("read"),
            model.expect("model"),
            "read {name} {select:?}"
        );
    }

    async fn compare_all(&self, session: u8) {
        let id = self.id(session);
        let model = self.model.record(id).await.expect("model");
        assert_eq!(self.engine.record(id).await.expect("record"), model);
        // At the beginning of time nothing has ended.
        for now_ms in [0, self.now_ms] {
            let model = self.model.heads(id, now_ms).await.expect("model");
            assert_eq!(self.engine.heads(id, now_ms).await.expect("heads"), model);
        }
        for partition in 0..4 {
            self.read(id, name(partition), Select::All).await;
            for back in [0, 1, 2, 5, 10, 1_000] {
                let since = Select::Since(Version(self.version.saturating_sub(back)));
                self.read(id, name(partition), since).await;
            }
        }
    }

    /// Pages may have any length and order; all of them together are what there is.
    async fn compare_pages(&self) {
        let mut found = BTreeMap::new();
        let mut from = None;
        loop {
            let page = self.engine.page(from).await.expect("page");
            let ours = |id: SessionId| (self.base..self.base + 3).contains(&id.0);
            found.extend(page.sessions.into_iter().filter(|(id, _)| ours(*id)));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let model = self.model.page(None).await.expect("model").sessions;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), model, "pages");
    }
}

/// A record that is never there.
fn other() -> Record {
    Record {
        pool: None,
        created_ms: 1,
        used_ms: 1,
        ends_ms: 1,
        owner: None,
        epoch: Epoch(1),
        revoked_ms: None,
        key: Bytes::new(),
    }
}

fn node(n: u8) -> NodeId {
    NodeId::new(&format!("node-{n}")).expect("a plain name")
}

/// Names of which one is the beginning of another.
fn name(n: u8) -> PartitionName {
    let name = ["a", "a/b", "ab", "game/inventory.v-1_x"][usize::from(n)];
    PartitionName::new(name).expect("a plain name")
}

/// Keys of any bytes, of which one is the beginning of another.
fn key(n: u8) -> Bytes {
    let keys: [&'static [u8]; 8] = [
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"\xff",
        b"\xff\xff",
        b"item/1",
        b"\r\n{}",
    ];
    Bytes::from_static(keys[usize::from(n)])
}
