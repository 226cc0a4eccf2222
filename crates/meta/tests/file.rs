//! A file that cannot be used is named, left as it is, and never replaced by an empty one.

use std::{fs, path::Path};

use foreshift_meta::{Error, Meta, Txn};

/// A closed store with some content.
async fn stored(path: &Path) -> Vec<u8> {
    let meta = Meta::open_embedded(path).unwrap();
    for n in 0..200 {
        let txn = Txn::new().put(format!("pools/app/nodes/{n}"), "x".repeat(100));
        meta.commit(txn).await.unwrap();
    }
    drop(meta);
    fs::read(path).unwrap()
}

fn open_error(path: &Path) -> Error {
    match Meta::open_embedded(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(e) => {
            assert!(e.to_string().contains(&path.display().to_string()), "{e}");
            e
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    let whole = stored(&path).await;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    for (case, bytes) in [
        ("zero length", Vec::new()),
        ("one byte", vec![b'r']),
        ("garbage", (0..10_000_u32).map(|n| (n * 31 % 251) as u8).collect()),
        ("zeroes", vec![0; whole.len()]),
        ("cut to its header", whole[..512].to_vec()),
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("cut by a page", whole[..whole.len() - 4096].to_vec()),
        ("flipped magic number", flipped(0)),
        ("flipped page size", flipped(12)),
        ("flipped layout", flipped(20)),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = open_error(&path);
        assert!(matches!(error, Error::Damaged { .. }), "{case}: {error}");
        assert!(fs::read(&path).unwrap() == bytes, "{case}: the file was changed");
    }
    fs::write(&path, &whole).unwrap();
    Meta::open_embedded(&path).unwrap();
}

/// Flips single bytes in the header and all over the rest, the same ones in every run.
async fn flip_bytes(whole: &[u8], except: Option<usize>) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    fs::write(&path, whole).unwrap();
    let (_, expected) = Meta::open_embedded(&path).unwrap().list("").await.unwrap();
    let used = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    let mut refused = 0;
    let places = (0..64)
        .chain((64..320).step_by(5))
        .chain((320..used).step_by(used / 60));
    for at in places.filter(|at| Some(*at) != except) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        match Meta::open_embedded(&path) {
            Ok(meta) => {
                let (_, found) = meta.list("").await.unwrap();
                assert!(
                    found == expected,
                    "byte {at}: other content than was acknowledged"
                );
            }
            Err(Error::Damaged { .. }) => {
                assert!(
                    fs::read(&path).unwrap() == bytes,
                    "byte {at}: the file was changed"
                );
                refused += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    refused
}

#[tokio::test]
async fn a_flipped_byte_is_refused_or_harmless_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let whole = stored(&folder.path().join("meta.redb")).await;
    let refused = flip_bytes(&whole, None).await;
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn so_it_is_in_a_file_that_a_crash_left_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    stored(&path).await;
    let meta = Meta::open_embedded(&path).unwrap();
    meta.commit(Txn::new().put("last", "words")).await.unwrap();
    // What a crash would leave at this moment.
    let whole = fs::read(&path).unwrap();
    // Byte 9 says which of redb's two commit slots counts. Flipped, it is what a crash before the last acknowledgement
    // would have left; nothing in the file could tell.
    let refused = flip_bytes(&whole, Some(9)).await;
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn a_file_in_use_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    let first = Meta::open_embedded(&path).unwrap();
    assert_eq!(open_error(&path), Error::Locked { path: path.clone() });
    first.commit(Txn::new().put("k", "v")).await.unwrap();
    drop(first);
    assert!(
        Meta::open_embedded(&path)
            .unwrap()
            .get("k")
            .await
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_missing_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/lib/meta.redb");
    Meta::open_embedded(&path).unwrap();
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the file itself: {left:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plain"), "a file").unwrap();
    for path in [
        folder.path().join("plain/meta.redb"),
        folder.path().to_owned(),
        Path::new("/proc/none/meta.redb").to_owned(),
    ] {
        let error = open_error(&path);
        assert!(matches!(error, Error::Unwritable { .. }), "{error}");
    }
    assert_eq!(fs::read(folder.path().join("plain")).unwrap(), b"a file");
}

#[test]
fn another_format_and_another_programs_database_are_refused() {
    use redb::{Database, TableDefinition};
    let folder = tempfile::tempdir().unwrap();
    let about: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

    let newer = folder.path().join("newer.redb");
    Meta::open_embedded(&newer).unwrap();
    let database = Database::open(&newer).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(about).unwrap().insert("format", 7).unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(matches!(
        open_error(&newer),
        Error::Format {
            found: 7,
            known: 1,
            ..
        }
    ));

    let other = folder.path().join("other.redb");
    let database = Database::create(&other).unwrap();
    let write = database.begin_write().unwrap();
    let table: TableDefinition<'_, &str, &str> = TableDefinition::new("songs");
    write.open_table(table).unwrap().insert("a", "b").unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(matches!(open_error(&other), Error::Damaged { .. }));
}
