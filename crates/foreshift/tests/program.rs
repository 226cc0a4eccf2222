//! The program as its users start it: exit codes, what it prints where, and how it ends.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

fn foreshift() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command.env_remove("RUST_LOG").env_remove("NO_COLOR");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A configuration in `folder` whose ports are free ones.
fn configuration(folder: &Path) -> std::path::PathBuf {
    let meta = folder.join("meta.redb");
    let config = format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"{}\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\n\
         [[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n\
         [[pool.node]]\nid = \"b\"\naddress = \"127.0.0.1:9\"\n",
        meta.display()
    );
    let file = folder.join("foreshift.toml");
    std::fs::write(&file, config).unwrap();
    file
}

/// `foreshift run`, ended with the test.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    api: String,
}

impl Running {
    fn start(config: &Path) -> Self {
        let mut command = foreshift();
        command
            .args(["run", "--log", "json", "-c"])
            .arg(config)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut seen) = (String::new(), String::new());
        let api = loop {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended: {seen}");
            seen.push_str(&line);
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
            if entry["fields"]["message"] == "the API listens" {
                break format!("http://{}", entry["fields"]["address"].as_str().unwrap());
            }
        };
        Self { child, log, api }
    }

    fn ask(&self, args: &[&str]) -> Output {
        foreshift()
            .args(args)
            .args(["--api", &self.api])
            .output()
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.ask(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
        text(&output.stdout).to_owned()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_reading_command_prints_a_table_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&configuration(folder.path()));
    for (args, table, json) in [
        (vec!["status"], "pool app", "/0/nodes/1/id"),
        (vec!["nodes"], "NODE", "/1/id"),
        (vec!["affinity", "get", "user-7"], "user-7 lives on", "/session"),
        (vec!["plan"], "pool app: 0 moves", "/0/plan/moves"),
        (vec!["forecast", "--pool", "app"], "COVERAGE", "/1/node"),
        (vec!["moves"], "OUTCOME", ""),
        (vec!["connections", "--node", "a"], "CLIENT", ""),
        (vec!["connections", "list"], "CLIENT", ""),
        (vec!["top", "--count", "1"], "pool app", "/0/nodes/0/id"),
    ] {
        let shown = running.ok(&args);
        assert!(shown.contains(table), "{args:?}: {shown}");
        assert!(
            !shown.contains('\x1b'),
            "no colour where there is no terminal: {shown}"
        );
        assert!(running.json(&args).pointer(json).is_some(), "{args:?}");
    }
}

#[test]
fn nodes_and_keys_are_changed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&configuration(folder.path()));
    let added = running.json(&[
        "nodes",
        "add",
        "c",
        "127.0.0.1:9",
        "--weight",
        "2",
        "--connections",
        "10",
    ]);
    assert_eq!(
        (&added["weight"], &added["capacity"]["connections"]),
        (&2.0.into(), &10.into())
    );
    assert!(
        running
            .ok(&["nodes", "drain", "c", "--wait"])
            .contains("nothing is left on c")
    );
    assert_eq!(running.json(&["nodes", "ready", "c"])["observed_state"], "ready");
    assert_eq!(running.json(&["nodes", "down", "c"])["observed_state"], "down");
    assert!(running.ok(&["nodes", "remove", "c"]).contains("removed c"));

    let home = running.json(&["affinity", "get", "a/b c"])["node"]
        .as_str()
        .unwrap()
        .to_owned();
    let pinned = running.json(&["affinity", "pin", "a/b c", &home, "--ttl", "60"]);
    assert_eq!(
        (&pinned["key"], &pinned["override"]["pinned"]),
        (&"a/b c".into(), &true.into())
    );
    assert_eq!(
        running.json(&["affinity", "unpin", "a/b c"])["override"]["pinned"],
        false
    );
}

#[test]
fn what_is_set_at_run_time_is_shown_and_undone_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&configuration(folder.path()));
    let set = running.ok(&[
        "nodes",
        "set",
        "a",
        "--weight",
        "50%",
        "--maxconn",
        "20",
        "--health",
        "up",
    ]);
    assert_eq!(
        set,
        "a differs from the configuration: weight 0.5, configured 1; maxconn 20, configured none; health up\n"
    );
    assert_eq!(running.json(&["nodes"])[0]["runtime"]["maxconn"], 20);
    assert_eq!(running.json(&["info"])["pools"][0]["differ"], 1);
    assert!(running.ok(&["info"]).contains("DIFFER"));
    assert_eq!(running.ok(&["nodes", "reset", "a"]), "a is as configured\n");
    assert_eq!(running.ok(&["nodes", "end-sessions", "a"]), "ended 0\n");

    let session = running.json(&["affinity", "get", "k"])["session"].clone();
    let session = session.as_str().unwrap();
    let home = running.json(&["affinity", "get", "k"])["node"].clone();
    let home = home.as_str().unwrap();
    assert!(
        running
            .ok(&["affinity", "pin-session", session, home])
            .contains("pinned")
    );
    assert!(
        running
            .ok(&["affinity", "list", "--node", home])
            .contains(session)
    );
    assert_eq!(
        running.json(&["affinity", "list", "--pinned"])[0]["session"],
        session
    );
    assert_eq!(
        running.ok(&["affinity", "clear", "--session", session]),
        "given back 1\n"
    );
    assert_eq!(running.ask(&["affinity", "clear"]).status.code(), Some(2));
    assert_eq!(running.ask(&["nodes", "set", "a"]).status.code(), Some(2));
    assert_eq!(running.ask(&["connections", "end", "7"]).status.code(), Some(1));
}

#[test]
fn a_failure_is_told_on_standard_error_with_exit_1_and_wrong_usage_with_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path());
    let running = Running::start(&config);
    let config = config.to_str().unwrap();
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "[[pool]]\nname = \"app\"\nload_treshold = 7\n").unwrap();
    for (args, code, says) in [
        (
            vec!["nodes", "drain", "zz", "--api", &running.api],
            1,
            "there are: a, b",
        ),
        (
            vec!["status", "--api", "http://127.0.0.1:1"],
            1,
            "Is `foreshift run` up?",
        ),
        (vec!["status", "--api", "localhost"], 1, "give a URL"),
        (
            vec!["connections", "migrate", "7", "a", "--api", &running.api],
            1,
            "no connection 7",
        ),
        (vec!["run", "-c", config], 1, "in use by another process"),
        (
            vec!["run", "-c", "/nowhere"],
            1,
            "cannot read the configuration /nowhere",
        ),
        (vec!["check", "-c", broken.to_str().unwrap()], 1, "load_treshold"),
        (vec!["affinity", "get"], 2, "<KEY>"),
        (vec!["nodes", "add", "a b", "127.0.0.1:1"], 2, "is not a name"),
        (vec!["fly"], 2, "unrecognized subcommand"),
    ] {
        let output = foreshift().args(&args).output().unwrap();
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {complaint}");
        assert!(complaint.contains(says), "{args:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{args:?}: {output:?}");
    }
    let output = foreshift().args(["check", "-c", config]).output().unwrap();
    assert!(
        output.status.success() && text(&output.stdout).contains("can be used"),
        "{output:?}"
    );
}

#[test]
fn a_signal_ends_it_in_order_and_leaves_clean_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path());
    for signal in [Signal::TERM, Signal::INT] {
        // The second one would complain about what the first one left.
        let mut running = Running::start(&config);
        running.signal(signal);
        let mut log = String::new();
        running.log.read_to_string(&mut log).unwrap();
        assert!(running.child.wait().unwrap().success(), "{log}");
        assert!(log.contains("draining") && log.contains("\"ended\""), "{log}");
        assert!(
            !log.contains("not closed properly") && !log.contains("ERROR"),
            "{log}"
        );
    }
}
