//! `foreshift demo` as its users start it: what it prints, and that nothing stays behind.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The demo with a mark that its children inherit.
fn demo(mark: &str, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command.arg("demo").args(args).env("FORESHIFT_DEMO_TEST", mark);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processes that have the mark; those that have ended and wait to be reaped have none.
fn marked(mark: &str) -> usize {
    let wanted = format!("FORESHIFT_DEMO_TEST={mark}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let has_mark = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|b| *b == 0)
            .any(|variable| variable == wanted.as_bytes())
    };
    processes.filter(|process| has_mark(&process.path())).count()
}

fn wait_until_none_is_left(mark: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while marked(mark) > 0 {
        assert!(Instant::now() < until, "{} processes are left", marked(mark));
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Reads lines until one holds `text`.
fn wait_for(out: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "it ended without saying {text:?}"
        );
    }
}

#[test]
fn the_demo_answers_every_request_and_says_so_in_json() {
    let mark = format!("json-{}", std::process::id());
    let output = demo(&mark, &["--seconds", "3", "--sessions", "40", "--json"])
        .wait_with_output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["approach"], "predictive");
    assert!(summary["requests"].as_u64().unwrap() > 1_000, "{summary}");
    assert_eq!(summary["errors"], 0, "{summary}");
    for fault in ["lost", "duplicated", "reordered", "corrupted", "counters_lost"] {
        assert_eq!(summary["messages"][fault], 0, "{summary}");
    }
    assert_eq!(marked(&mark), 0);
}

#[test]
fn interrupted_it_sums_up_and_leaves_nothing_behind() {
    let mark = format!("interrupted-{}", std::process::id());
    let mut child = demo(&mark, &["--seconds", "600", "--sessions", "40"]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut out, " 1 s ");
    assert_eq!(marked(&mark), 6);
    signal(&child, Signal::INT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("messages lost"), "{rest}");
    assert!(child.wait().unwrap().success());
    assert_eq!(marked(&mark), 0);
}

#[test]
fn killed_it_takes_its_children_along() {
    let mark = format!("killed-{}", std::process::id());
    let mut child = demo(&mark, &["--seconds", "600", "--sessions", "40"]);
    wait_for(&mut BufReader::new(child.stdout.take().unwrap()), " 1 s ");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    wait_until_none_is_left(&mark);
}

#[test]
fn a_trace_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.csv");
    std::fs::write(&trace, "0,1\nx,2\n").unwrap();
    let output = demo("trace", &["--trace", trace.to_str().unwrap()])
        .wait_with_output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("trace.csv") && error.contains("line 2"),
        "{error}"
    );
}
