//! The embedded engine: one read of a key, and durable writes of many callers beside what the disk's own `fsync` allows.
//!
//! `cargo bench -p foreshift-store --bench embedded`

use std::{fs, io::Write as _, os::unix::fs::FileExt, sync::Arc};

use foreshift_store::{Batch, Caller, Change, Engine, If, Select, Sessions, Value, engine::Embedded};
use foreshift_wire::{PartitionName, Session, SessionId};
use tokio::runtime::Runtime;

const SESSIONS: usize = 10_000;
const CACHE: u64 = 64 << 20;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

fn cart() -> PartitionName {
    PartitionName::new("cart").expect("a plain name")
}

fn batch(n: usize) -> Batch {
    let change = Change {
        key: format!("item/{}", n % 8).into(),
        condition: If::Any,
        value: Some(Value::bytes(vec![n as u8; 256])),
    };
    Batch {
        changes: vec![change],
        ..Batch::default()
    }
}

/// Sessions with a partition of one key of 256 bytes each.
async fn filled(engine: Arc<dyn Engine>, count: usize) -> (Sessions, Vec<SessionId>) {
    let sessions = Sessions::over(engine, Session::default());
    let ids = (0..count).map(|_| {
        let sessions = sessions.clone();
        tokio::spawn(async move {
            let id = sessions.create(&Caller::own()).await.expect("made");
            sessions
                .write(&Caller::own(), id, &cart(), batch(0))
                .await
                .expect("written");
            id
        })
    });
    let mut made = Vec::new();
    for id in ids.collect::<Vec<_>>() {
        made.push(id.await.expect("it does not panic"));
    }
    (sessions, made)
}

fn store(count: usize) -> (tempfile::TempDir, Runtime, Sessions, Vec<SessionId>) {
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let engine = Embedded::open(&folder.path().join("sessions.redb"), CACHE).expect("a new file");
    let runtime = runtime();
    let (sessions, ids) = runtime.block_on(filled(Arc::new(engine), count));
    (folder, runtime, sessions, ids)
}

/// One key of one of many sessions, each in turn: opened, checked, of a snapshot.
#[divan::bench(sample_count = 2_000, sample_size = 10)]
fn get(bencher: divan::Bencher<'_, '_>) {
    let (_folder, runtime, sessions, ids) = store(SESSIONS);
    let (caller, cart, mut n) = (Caller::own(), cart(), 0);
    bencher.bench_local(|| {
        n = (n + 7_919) % ids.len();
        let select = Select::Keys(vec!["item/0".into()]);
        let read = sessions.read(&caller, ids[n], &cart, select);
        runtime.block_on(read).expect("it is there")
    });
    runtime.block_on(sessions.close());
}

/// So many callers write one key each, of different sessions, and wait until it is durable.
#[divan::bench(args = [1, 64, 1_024, 4_096], sample_count = 20, sample_size = 1)]
fn durable_batches_at_once(bencher: divan::Bencher<'_, '_>, callers: usize) {
    let (_folder, runtime, sessions, ids) = store(callers);
    let mut n = 0;
    bencher.counter(callers).bench_local(|| {
        n += 1;
        runtime.block_on(async {
            let write = |id: SessionId| {
                let sessions = sessions.clone();
                tokio::spawn(async move { sessions.write(&Caller::own(), id, &cart(), batch(n)).await })
            };
            for task in ids.iter().map(|id| write(*id)).collect::<Vec<_>>() {
                task.await.expect("it does not panic").expect("written");
            }
        });
    });
    runtime.block_on(sessions.close());
}

/// What a group costs at least: two writes of a page, each with an `fsync`.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn two_fsyncs(bencher: divan::Bencher<'_, '_>) {
    let mut file = tempfile::NamedTempFile::new_in(".").expect("a file");
    file.write_all(&vec![0; 1 << 20]).expect("room");
    let file: &fs::File = file.as_file();
    bencher.bench_local(|| {
        for page in [0, 7] {
            file.write_all_at(&[1; 4096], page * 4096).expect("room");
            file.sync_data().expect("it syncs");
        }
    });
}
