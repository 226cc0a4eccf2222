//! A file that cannot be used is named, left as it is, and never replaced by an empty one.

use std::{fs, path::Path};

use bytes::Bytes;
use foreshift_store::{
    Engine, Error,
    engine::{Embedded, Expiry, Fence, If, Put, Record, Select, Write},
};
use foreshift_wire::{Epoch, PartitionName, SessionId, Version};

const CACHE: u64 = 1 << 20;

fn record() -> Record {
    Record {
        pool: None,
        created_ms: 1,
        used_ms: 1,
        ends_ms: 1 << 40,
        owner: None,
        epoch: Epoch(1),
        revoked_ms: None,
        key: Bytes::new(),
    }
}

/// A closed store with some content.
async fn stored(path: &Path) -> Vec<u8> {
    let engine = Embedded::open(path, CACHE).unwrap();
    for n in 0..60 {
        let session = SessionId(n);
        engine.put_record(session, None, record()).await.unwrap().unwrap();
        let write = Write {
            session,
            partition: PartitionName::new("cart").unwrap(),
            fence: Fence::default(),
            version: Version(7),
            condition: If::Any,
            replace: false,
            puts: vec![Put {
                key: "item".into(),
                condition: If::Any,
                value: Some(Bytes::from(vec![n as u8; 500])),
            }],
            expiry: Expiry::Keep,
            max_bytes: 1 << 20,
            max_session_bytes: 1 << 20,
            now_ms: 2,
        };
        engine.write(write).await.unwrap();
    }
    engine.close().await;
    fs::read(path).unwrap()
}

fn why_not(path: &Path) -> String {
    match Embedded::open(path, CACHE) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(Error::File { file, detail }) => {
            assert_eq!(file, path);
            detail
        }
        Err(error) => panic!("it does not name the file: {error}"),
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let whole = stored(&path).await;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    for (case, bytes) in [
        ("zero length", Vec::new()),
        ("garbage", (0..10_000_u32).map(|n| (n * 31 % 251) as u8).collect()),
        ("zeroes", vec![0; whole.len()]),
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("cut by a page", whole[..whole.len() - 4096].to_vec()),
        ("flipped magic number", flipped(0)),
        ("flipped page size", flipped(12)),
    ] {
        fs::write(&path, &bytes).unwrap();
        let why = why_not(&path);
        assert!(why.contains("damaged"), "{case}: {why}");
        assert!(fs::read(&path).unwrap() == bytes, "{case}: the file was changed");
    }
    fs::write(&path, &whole).unwrap();
    Embedded::open(&path, CACHE).unwrap().close().await;
}

#[tokio::test]
async fn a_flipped_byte_is_found_or_has_changed_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let whole = stored(&path).await;
    let used = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    let mut refused = 0;
    let places = (0..64).step_by(4).chain((320..used).step_by(used / 40));
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        let Ok(engine) = Embedded::open(&path, CACHE) else {
            refused += 1;
            assert!(
                fs::read(&path).unwrap() == bytes,
                "byte {at}: the file was changed"
            );
            continue;
        };
        for n in 0..60 {
            let cart = PartitionName::new("cart").unwrap();
            let rows = engine
                .read(SessionId(n), cart, Select::All, 2)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                rows.rows[0].value,
                Some(Bytes::from(vec![n as u8; 500])),
                "byte {at}"
            );
        }
        engine.close().await;
    }
    assert!(refused > 10, "{refused} were refused");
}

#[tokio::test]
async fn a_file_that_another_has_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let engine = Embedded::open(&path, CACHE).unwrap();
    let why = why_not(&path);
    assert!(why.contains("another process"), "{why}");
    engine.close().await;
    Embedded::open(&path, CACHE).unwrap().close().await;
}

#[tokio::test]
async fn a_format_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let about = redb::TableDefinition::<&str, u64>::new("about");
    transaction
        .open_table(about)
        .unwrap()
        .insert("format", 99)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let why = why_not(&path);
    assert!(why.contains("format 99"), "{why}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let why = why_not(&file.join("sessions.redb"));
    assert!(why.contains("cannot be used"), "{why}");
}
