//! What the key file must keep: one current key, no key of others, nothing that is not understood.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

fn in_folder() -> (tempfile::TempDir, PathBuf, KeyFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/session.keys");
    let file = KeyFile::at(&path);
    (folder, path, file)
}

#[test]
fn it_is_made_once_for_its_owner_only() {
    let (_folder, path, file) = in_folder();
    assert_eq!(file.list().unwrap(), None);
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = file.list().unwrap().unwrap();
    assert_eq!(first.len(), 1);
    assert!(first[0].is_current());
    assert_eq!(first[0].made, Timestamp::UNIX_EPOCH);
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(file.list().unwrap().unwrap(), first, "it stays as it is");
}

#[test]
fn a_rotation_adds_a_key_and_keeps_the_old_ones() {
    let (_folder, _path, file) = in_folder();
    assert!(file.rotate(Timestamp::UNIX_EPOCH).is_err(), "there is no file");
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    let old = file.list().unwrap().unwrap()[0].id;
    let new = file.rotate(Timestamp::UNIX_EPOCH).unwrap();
    let keys = file.list().unwrap().unwrap();
    let is_current: Vec<_> = keys.iter().map(|key| (key.id, key.is_current())).collect();
    assert_eq!(is_current, [(old, false), (new.id, true)]);
    assert!(
        file.remove(new.id)
            .unwrap_err()
            .to_string()
            .contains("rotate first")
    );
    assert!(file.remove(KeyId(1)).is_err());
    assert!(
        file.retire(new.id)
            .unwrap_err()
            .to_string()
            .contains("rotate first")
    );
    file.retire(old).unwrap();
    let third = file.rotate(Timestamp::UNIX_EPOCH).unwrap();
    let roles: Vec<_> = file.list().unwrap().unwrap().iter().map(|key| key.role).collect();
    assert_eq!(roles, [KeyRole::Retiring, KeyRole::Kept, KeyRole::Current]);
    file.remove(old).unwrap();
    file.remove(new.id).unwrap();
    assert_eq!(file.list().unwrap().unwrap(), [third]);
}

#[test]
fn rotations_at_the_same_time_are_all_done() {
    let (_folder, _path, file) = in_folder();
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| file.rotate(Timestamp::UNIX_EPOCH).unwrap());
        }
    });
    assert_eq!(file.list().unwrap().unwrap().len(), 9);
}

#[test]
fn a_file_that_is_not_as_it_must_be_is_refused_by_line_and_left_as_it_is() {
    let (_folder, path, file) = in_folder();
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let secret = good.lines().last().unwrap().split(' ').nth(3).unwrap();
    let turned = secret.replace(
        secret.chars().next().unwrap(),
        if secret.starts_with('0') { "1" } else { "0" },
    );
    for (what, text, says) in [
        ("nothing", String::new(), "does not begin"),
        ("a newer version", good.replace("version 1", "version 2"), "newer"),
        ("no keys", good.replace("key ", "# "), "0 current keys"),
        ("none current", good.replace(" current", ""), "0 current keys"),
        (
            "two current",
            format!("{good}{}", good.lines().last().unwrap()),
            "2 current keys",
        ),
        (
            "a turned digit",
            good.replace(secret, &turned),
            "line 3: has a key that does not fit its id",
        ),
        ("cut short", good[..good.len() - 20].to_owned(), "line 3"),
        ("a word", format!("{good}word\n"), "line 4"),
    ] {
        fs::write(&path, &text).unwrap();
        for error in [
            file.list().map(drop).unwrap_err(),
            file.rotate(Timestamp::UNIX_EPOCH).map(drop).unwrap_err(),
            file.make(Timestamp::UNIX_EPOCH).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains(says) && error.contains("session.keys"),
                "{what}: {error}"
            );
            assert!(!error.contains(&secret[..16]), "{what}: {error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{what}");
    }
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_folder, path, file) = in_folder();
    file.make(Timestamp::UNIX_EPOCH).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = file.list().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_key_id_is_16_hex_digits() {
    for (text, valid) in [
        ("00000000000000ff", true),
        ("+0000000000000ff", false),
        ("ff", false),
        ("g000000000000000", false),
        ("00000000000000ff0", false),
    ] {
        let id = text.parse::<KeyId>();
        assert_eq!(id.is_ok(), valid, "{text}");
        assert!(id.is_err() || id.unwrap().to_string() == text);
    }
}
