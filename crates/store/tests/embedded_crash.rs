//! What was acknowledged survives a process that is killed, all of it, and nothing is half there.
//!
//! The test starts this test binary again as another process that runs `the_other_process` only.

mod common;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use common::service::{get, name};
use foreshift_store::{Batch, Caller, Change, If, Sessions, Value};
use foreshift_wire::{Session, SessionId};

const FOLDER: &str = "FORESHIFT_STORE_TEST_FOLDER";
const WRITERS: u64 = 4;

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn open(folder: &Path) -> Sessions {
    let config = Session {
        path: folder.join("sessions.redb"),
        key_file: folder.join("session.keys"),
        ..Session::default()
    };
    Sessions::open(&config, &[]).await.unwrap()
}

/// Some keys with the same number, and one that is new.
fn batch(n: u64) -> Batch {
    let set = |key: String| Change {
        key: key.into(),
        condition: If::Any,
        value: Some(Value::bytes(n.to_string())),
    };
    let keys = ["a", "b", "c"].map(str::to_owned).into_iter();
    Batch {
        changes: keys.chain([format!("n/{n:06}")]).map(set).collect(),
        ..Batch::default()
    }
}

/// Does nothing unless another test started it: then it writes without end and tells what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let sessions = open(Path::new(&folder)).await;
    let (ids, _) = sessions.list(&Caller::own(), None).await.unwrap();
    let id = match ids.first() {
        Some(info) => info.id,
        None => sessions.create(&Caller::own()).await.unwrap(),
    };
    tell(&format!("session {}", id.0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(sessions.clone(), id, n)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
}

async fn write(sessions: Sessions, id: SessionId, writer: u64) {
    let partition = name(&format!("p{writer}"));
    let there = get(&sessions, &Caller::own(), id, partition.as_str()).await;
    let next = there.map_or(0, |there| there.len() as u64 - 3);
    for n in next.. {
        sessions
            .write(&Caller::own(), id, &partition, batch(n))
            .await
            .unwrap();
        tell(&format!("acknowledged {writer} {n}"));
    }
}

#[derive(Default)]
struct Told {
    session: Option<SessionId>,
    /// By writer, the last number that was acknowledged.
    last: HashMap<u64, u64>,
}

impl Told {
    fn take(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("session"), Some(id), _) => self.session = id.parse().ok().map(SessionId),
            (Some("acknowledged"), Some(writer), Some(n)) => {
                self.last.insert(writer.parse().unwrap(), n.parse().unwrap());
                return true;
            }
            _ => {}
        }
        false
    }
}

#[tokio::test]
async fn every_acknowledged_batch_is_there_and_none_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    // Killed as soon as it runs, and in the middle of its work.
    for kill_after in [1, 0, 40, 7, 90, 3] {
        let mut child = spawn(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut seen = 0;
        while seen < kill_after {
            let line = lines.next().expect("it writes until it is killed");
            seen += usize::from(told.take(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            told.take(&line);
        }

        let sessions = open(folder.path()).await;
        for (writer, last) in &told.last {
            let id = told.session.expect("told before anything was acknowledged");
            let there = get(&sessions, &Caller::own(), id, &format!("p{writer}"))
                .await
                .unwrap();
            let newest = there.len() as u64 - 4;
            assert!(
                newest >= *last,
                "writer {writer}: {last} was acknowledged, {newest} is there"
            );
            for (n, (key, value)) in there.iter().enumerate() {
                let expected = match n {
                    0..3 => (["a", "b", "c"][n].to_owned(), newest.to_string()),
                    _ => (format!("n/{:06}", n - 3), (n - 3).to_string()),
                };
                assert_eq!((key, value), (&expected.0, &expected.1), "writer {writer}");
            }
        }
        sessions.close().await;
    }
    assert_eq!(told.last.len() as u64, WRITERS);
}
