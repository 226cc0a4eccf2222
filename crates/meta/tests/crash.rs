//! What was acknowledged survives a process that is killed, and a second process is kept out.
//!
//! The tests start this test binary again as another process that runs `the_other_process` only.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use foreshift_meta::{Error, Meta, Txn};

const PATH: &str = "FORESHIFT_META_TEST_PATH";

fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless another test started it: then it writes without end and tells each number that was
/// acknowledged, or why it could not open the file.
#[tokio::test]
async fn the_other_process() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let mut out = std::io::stdout().lock();
    let meta = match Meta::open_embedded(path) {
        Ok(meta) => meta,
        Err(e) => {
            writeln!(out, "\nrefused {}", matches!(e, Error::Locked { .. })).unwrap();
            return;
        }
    };
    for n in 0.. {
        let txn = Txn::new()
            .put(format!("k{n:08}"), n.to_string())
            .put("last", n.to_string());
        meta.commit(txn).await.unwrap();
        writeln!(out, "\nacknowledged {n}").unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    let mut expected = 0;
    for round in 0..3 {
        let mut child = spawn(&path);
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut numbers = lines.filter_map(|l| l.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let mut last = numbers.by_ref().take(50 + round * 30).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = numbers.last().unwrap_or(last);
        expected = expected.max(last + 1);

        let meta = Meta::open_embedded(&path).unwrap();
        let (_, found) = meta.list("k").await.unwrap();
        assert!(
            found.len() as u64 >= expected,
            "{} of {expected} are left",
            found.len()
        );
        for (n, (key, versioned)) in found.iter().enumerate() {
            assert_eq!(key, &format!("k{n:08}"), "without gaps");
            assert_eq!(&*versioned.value, n.to_string().as_bytes());
        }
        assert!(meta.get("last").await.unwrap().is_some());
    }
}

#[test]
fn a_second_process_is_refused_as_long_as_the_first_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.redb");
    let meta = Meta::open_embedded(&path).unwrap();
    let output = spawn(&path).wait_with_output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("refused true"),
        "{output:?}"
    );
    drop(meta);
}
