//! A process that is killed at any step of a rotation leaves sessions that open, and the next one ends the rotation.
//!
//! What the steps of writing the key file leave is tested where that is done, in `foreshift-secret`. Here a copy of this program
//! dies between, before and after the writes of a pass, over a real file.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use foreshift_store::{
    Batch, BoxFuture, Caller, Change, Engine, Error, If, KeyFile, Select, Sessions, Value,
    engine::{Cursor, Embedded, Head, Outcome, Page, Record, Rows, Write},
};
use foreshift_wire::{PartitionName, Session, SessionId};
use jiff::Timestamp;

const FOLDER: &str = "FORESHIFT_TEST_FOLDER";
const DIES_AT: &str = "FORESHIFT_TEST_DIES_AT";
const SIGABRT: i32 = 6;
const SESSIONS: usize = 5;

fn config(folder: &Path) -> Session {
    Session {
        path: folder.join("sessions.redb"),
        key_file: folder.join("session.keys"),
        ..Session::default()
    }
}

/// The embedded engine; the process dies at a write of a record, before or after it.
struct Dies {
    engine: Embedded,
    at: u32,
    step: AtomicU32,
}

impl Dies {
    fn step(&self) {
        if self.step.fetch_add(1, Ordering::Relaxed) == self.at {
            std::process::abort();
        }
    }
}

type Stored = Result<(), Option<Record>>;

impl Engine for Dies {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        self.engine.record(session)
    }
    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Stored, Error>> {
        Box::pin(async move {
            self.step();
            let stored = self.engine.put_record(session, expected, record).await;
            self.step();
            stored
        })
    }
    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Stored, Error>> {
        self.engine.clear(session, expected, record)
    }
    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>> {
        self.engine.heads(session, now_ms)
    }
    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>> {
        self.engine.read(session, partition, select, now_ms)
    }
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        self.engine.write(write)
    }
    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        self.engine.page(from)
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.engine.close()
    }
}

/// In the copy that is to die: takes a new key up and wraps all sessions' keys.
async fn rotate_and_die(folder: &Path, at: u32) {
    let config = config(folder);
    let engine = Dies {
        engine: Embedded::open(&config.path, config.cache_bytes).unwrap(),
        at,
        step: AtomicU32::new(0),
    };
    let sessions = Sessions::open_over(Arc::new(engine), config.clone())
        .await
        .unwrap();
    KeyFile::at(&config.key_file).rotate(Timestamp::now()).unwrap();
    sessions.reread_keys(&Caller::own()).await.unwrap();
    sessions.close().await;
}

fn cart() -> PartitionName {
    PartitionName::new("cart").unwrap()
}

async fn fill(sessions: &Sessions) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for n in 0..SESSIONS {
        let id = sessions.create(&Caller::own()).await.unwrap();
        let change = Change {
            key: "item".into(),
            condition: If::Any,
            value: Some(Value::bytes(format!("value {n}"))),
        };
        let batch = Batch {
            changes: vec![change],
            ..Batch::default()
        };
        sessions.write(&Caller::own(), id, &cart(), batch).await.unwrap();
        ids.push(id);
    }
    ids
}

#[tokio::test]
async fn whatever_step_it_dies_at_everything_opens_and_the_rotation_goes_on() {
    if let (Some(folder), Ok(at)) = (env::var_os(FOLDER), env::var(DIES_AT)) {
        rotate_and_die(Path::new(&folder), at.parse().unwrap()).await;
        return;
    }
    let mut outcomes = Vec::new();
    // Each session's record is written once, with a step before and one after it; the last one does not come.
    for at in 0..=2 * SESSIONS {
        let folder = tempfile::tempdir().unwrap();
        let (config, own) = (config(folder.path()), Caller::own());
        let sessions = Sessions::open(&config, &[]).await.unwrap();
        let ids = fill(&sessions).await;
        sessions.close().await;
        drop(sessions);

        let mut copy = Command::new(env::current_exe().unwrap());
        copy.args([
            "--exact",
            "whatever_step_it_dies_at_everything_opens_and_the_rotation_goes_on",
        ]);
        let ended = copy
            .env(FOLDER, folder.path())
            .env(DIES_AT, at.to_string())
            .output()
            .unwrap();
        let died = ended.status.signal() == Some(SIGABRT);
        assert_eq!(
            died,
            at < 2 * SESSIONS,
            "{at}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );

        let file = KeyFile::at(&config.key_file);
        assert_eq!(file.list().unwrap().unwrap().len(), 2, "{at}");
        let sessions = Sessions::open(&config, &[]).await.unwrap();
        let needed = sessions.keys(&own).await.unwrap();
        outcomes.push((needed[0].sessions, needed[1].sessions));
        for (n, id) in ids.iter().enumerate() {
            let part = sessions.read(&own, *id, &cart(), Select::All).await.unwrap();
            let value = part.entries[0].value.clone();
            assert_eq!(value, Some(Value::bytes(format!("value {n}"))), "{at}");
        }
        sessions.retire_key(&own, needed[0].key.id).await.unwrap();
        for id in ids {
            sessions.read(&own, id, &cart(), Select::All).await.unwrap();
        }
        sessions.close().await;
    }
    // It died between them, too.
    let between = |(old, new): &(u64, u64)| *old > 0 && *new > 0;
    assert!(outcomes.iter().any(between), "{outcomes:?}");
}
