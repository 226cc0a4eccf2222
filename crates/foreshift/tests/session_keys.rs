//! `foreshift keys`: lists, replaces and retires master keys by the key file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use foreshift_store::KeyFile;
use jiff::Timestamp;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn keys(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command
        .arg("keys")
        .args(arguments)
        .arg("-c")
        .arg(config)
        .output()
        .unwrap()
}

/// A configuration whose key file is `session.keys` beside it.
fn configuration(folder: &Path, session: &str) -> PathBuf {
    let config = format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n{session}"
    );
    let file = folder.join("foreshift.toml");
    fs::write(&file, config).unwrap();
    file
}

#[test]
fn a_key_is_added_and_none_is_ever_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.keys");
    let config = configuration(folder.path(), &format!("[session]\nkey_file = {path:?}\n"));
    let missing = keys(&config, &["list"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("foreshift run"),
        "{}",
        text(&missing.stderr)
    );

    let file = KeyFile::at(&path);
    file.make(Timestamp::now()).unwrap();
    let old = file.list().unwrap().unwrap()[0].id;
    let rotated = keys(&config, &["rotate"]);
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let new = file.list().unwrap().unwrap()[1].id;
    assert_eq!(text(&rotated.stdout), format!("{new} seals what is new\n"));

    let listed = keys(&config, &["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["id"], old.to_string());
    assert_eq!(listed[0]["role"], "kept");
    assert_eq!(listed[1]["id"], new.to_string());
    assert_eq!(listed[1]["role"], "current");

    // Nothing runs that could take it out; it is marked all the same.
    let retired = keys(&config, &["retire", &old.to_string(), "--wait", "0"]);
    assert_eq!(retired.status.code(), Some(1));
    assert!(
        text(&retired.stderr).contains("no Foreshift runs"),
        "{}",
        text(&retired.stderr)
    );
    let current = keys(&config, &["retire", &new.to_string()]);
    assert!(
        text(&current.stderr).contains("rotate first"),
        "{}",
        text(&current.stderr)
    );
    let table = keys(&config, &["list"]);
    assert!(
        text(&table.stdout).contains("retiring"),
        "{}",
        text(&table.stdout)
    );

    for line in fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("key "))
    {
        let secret = line.split(' ').nth(3).unwrap();
        for output in [&rotated, &retired, &current, &table] {
            assert!(!text(&output.stdout).contains(secret) && !text(&output.stderr).contains(secret));
        }
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let none = configuration(folder.path(), "");
    let refused = keys(&none, &["list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("no table [session]"),
        "{}",
        text(&refused.stderr)
    );
    let wrong = keys(&none, &["retire", "not-an-id"]);
    assert_eq!(wrong.status.code(), Some(2));
}
