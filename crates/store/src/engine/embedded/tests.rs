//! A disk that is full, or fails: the write is refused, nothing of it is there, and later ones are taken again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use foreshift_wire::{Epoch, Version};
use redb::{Builder, StorageBackend, backends::FileBackend};

use super::*;
use crate::engine::{Expiry, Fence, If, Put};

const FINE: u8 = 0;
/// No file can grow.
const FULL: u8 = 1;
/// Nothing can be written.
const READ_ONLY: u8 = 2;
/// What is written does not come to the disk.
const NO_SYNC: u8 = 3;

/// A file on a disk that can be made to fail.
#[derive(Debug)]
struct Failing {
    file: FileBackend,
    state: Arc<AtomicU8>,
}

impl Failing {
    fn fails(&self, state: u8) -> io::Result<()> {
        match self.state.load(Ordering::SeqCst) == state {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            self.fails(FULL)?;
        }
        self.fails(READ_ONLY)?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.fails(NO_SYNC)?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fails(READ_ONLY)?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn open(path: &Path, state: &Arc<AtomicU8>) -> Result<Database, Error> {
    let fault = |e: &dyn std::error::Error| file::At(path).error(e.to_string());
    let opened = fs::OpenOptions::new().read(true).write(true).open(path);
    let file = FileBackend::new(opened.map_err(|e| fault(&e))?).map_err(|e| fault(&e))?;
    let state = Arc::clone(state);
    Builder::new()
        .create_with_backend(Failing { file, state })
        .map_err(|e| fault(&e))
}

fn failing(folder: &Path) -> (Embedded, Arc<AtomicU8>) {
    let path: PathBuf = folder.join("sessions.redb");
    drop(file::open(&path, 1 << 20).unwrap());
    let state = Arc::new(AtomicU8::new(FINE));
    let database = open(&path, &state).unwrap();
    let (again, of) = (path.clone(), Arc::clone(&state));
    let engine = Embedded::start(&path, database, Box::new(move || open(&again, &of)));
    (engine.unwrap(), state)
}

fn write(version: u64, len: usize) -> Write {
    let put = |key: &'static str| Put {
        key: key.into(),
        condition: If::Any,
        value: Some(Bytes::from(vec![version as u8; len])),
    };
    Write {
        session: SessionId(7),
        partition: PartitionName::new("cart").unwrap(),
        fence: Fence::default(),
        version: Version(version),
        condition: If::Any,
        replace: false,
        puts: vec![put("a"), put("b")],
        expiry: Expiry::Keep,
        max_bytes: 1 << 30,
        max_session_bytes: 1 << 30,
        now_ms: 2,
    }
}

async fn begun(engine: &Embedded) {
    let record = Record {
        pool: None,
        created_ms: 1,
        used_ms: 1,
        ends_ms: 1 << 40,
        owner: None,
        epoch: Epoch(1),
        revoked_ms: None,
        key: Bytes::new(),
    };
    engine
        .put_record(SessionId(7), None, record)
        .await
        .unwrap()
        .unwrap();
}

/// The version of the partition, whose keys all have it.
async fn whole(engine: &Embedded) -> u64 {
    let cart = PartitionName::new("cart").unwrap();
    let rows = engine
        .read(SessionId(7), cart, Select::All, 2)
        .await
        .unwrap()
        .unwrap();
    let version = rows.head.version.0;
    for row in &rows.rows {
        assert_eq!(row.version.0, version);
        assert!(row.value.as_ref().unwrap().iter().all(|b| *b == version as u8));
    }
    version
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, state) = failing(folder.path());
    begun(&engine).await;
    engine.write(write(1, 100)).await.unwrap();
    state.store(FULL, Ordering::SeqCst);
    let refused = engine.write(write(2, 9_000_000)).await;
    let Err(Error::Unavailable { unknown, detail }) = refused else {
        panic!("{refused:?}");
    };
    assert!(!unknown && detail.contains("sessions.redb"), "{detail}");
    assert_eq!(whole(&engine).await, 1, "what was there is read while it is full");
    state.store(FINE, Ordering::SeqCst);
    let taken = engine.write(write(3, 9_000_000)).await.unwrap();
    assert!(matches!(taken, Outcome::Done { .. }), "{taken:?}");
    assert_eq!(whole(&engine).await, 3);
    engine.close().await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_for_a_while_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, state) = failing(folder.path());
    begun(&engine).await;
    state.store(READ_ONLY, Ordering::SeqCst);
    let refused = engine.write(write(1, 100)).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    let refused = engine.write(write(2, 100)).await;
    assert!(
        matches!(refused, Err(Error::Unavailable { unknown: false, .. })),
        "{refused:?}"
    );
    state.store(FINE, Ordering::SeqCst);
    // Where it could not be opened again it is tried again after a moment.
    let taken = loop {
        match engine.write(write(3, 100)).await {
            Ok(taken) => break taken,
            Err(Error::Unavailable { unknown: false, .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(matches!(taken, Outcome::Done { .. }), "{taken:?}");
    assert_eq!(whole(&engine).await, 3);
    engine.close().await;
}

#[tokio::test]
async fn a_disk_that_does_not_sync_acknowledges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, state) = failing(folder.path());
    begun(&engine).await;
    engine.write(write(1, 100)).await.unwrap();
    state.store(NO_SYNC, Ordering::SeqCst);
    let refused = engine.write(write(2, 100)).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    state.store(FINE, Ordering::SeqCst);
    let found = loop {
        let cart = PartitionName::new("cart").unwrap();
        match engine.read(SessionId(7), cart, Select::Head, 2).await {
            Ok(found) => break found.unwrap(),
            // Reading has it opened again.
            Err(Error::Unavailable { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!([1, 2].contains(&found.head.version.0));
    assert_eq!(whole(&engine).await, found.head.version.0);
    engine.write(write(3, 100)).await.unwrap();
    assert_eq!(whole(&engine).await, 3);
    engine.close().await;
}
