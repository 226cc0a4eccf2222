//! A new process takes the place of the one that runs, under load, and nobody notices; nor where it fails to.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::net::{UnixListener, UnixStream},
};

use common::{
    foreshift::Foreshift,
    load::{Load, PlainNode},
    until,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn config(node: &PlainNode, more: &str) -> String {
    format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n\
         [ingress]\nworkers = 2\ndrain_timeout = \"20s\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ header = \"x-user\" }}]\n\
         [[pool]]\nname = \"app\"\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{}\"\n{more}",
        node.address
    )
}

/// The metadata can be written.
fn writes(foreshift: &Foreshift, id: &str) {
    let node = json!({"id": id, "address": "127.0.0.1:9", "state": "down"});
    let (status, answer) = foreshift.api.post("/v1/pools/app/nodes", &node);
    assert_eq!(status, 201, "{answer}");
}

#[test]
fn restarts_under_load_fail_no_request_and_keep_the_metadata() {
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, ""));
    let load = Load::start(foreshift.web, 8);
    for round in 0..4 {
        writes(&foreshift, &format!("n{round}"));
        load.goes_on(200);
        // With other numbers of workers, too: sockets are shared out anew.
        let workers = ["workers = 3", "workers = 1", "workers = 2"][round % 3];
        foreshift.rewrite(&config(&node, "").replace("workers = 2", workers));
        foreshift.is_replaced();
        until("the new process serves the API at the same address", || {
            foreshift.api.is_ok("/readyz").then_some(())
        });
        load.goes_on(200);
    }
    let (_, nodes) = foreshift.api.get("/v1/pools/app/nodes");
    assert_eq!(nodes.as_array().unwrap().len(), 5, "{nodes}");
    load.ends_without_a_failure();
}

#[test]
fn a_signal_starts_the_new_process_and_the_old_one_ends() {
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, ""));
    let load = Load::start(foreshift.web, 4);
    load.goes_on(50);
    foreshift.process.signal(Signal::USR2);
    let new: i32 = until("the log names the new process", || {
        let log = foreshift.process.printed();
        let line = log
            .lines()
            .find(|line| line.contains("started another process"))?
            .to_owned();
        line.split_once("pid=")?.1.parse().ok()
    });
    assert!(
        foreshift.process.ended().success(),
        "{}",
        foreshift.process.printed()
    );
    load.goes_on(200);
    load.ends_without_a_failure();
    writes(&foreshift, "b");
    kill_process(Pid::from_raw(new).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn where_the_new_process_cannot_start_the_old_one_goes_on() {
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, ""));
    let load = Load::start(foreshift.web, 4);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[[listener]]\nname = \"more\"\naddress = \"{}\"\npool = \"app\"\n",
        taken.local_addr().unwrap()
    );
    foreshift.rewrite(&config(&node, &more));
    let mut new = foreshift.another();
    assert!(!new.ended().success());
    let printed = new.printed_at_end();
    assert!(
        printed.contains("taking over") && printed.contains("listener[1].address"),
        "{printed}"
    );
    load.goes_on(100);
    until("control is back", || foreshift.api.is_ok("/readyz").then_some(()));
    writes(&foreshift, "b");
    assert!(foreshift.process.has_ended().is_none());
    // And it can be replaced after all.
    foreshift.rewrite(&config(&node, ""));
    foreshift.is_replaced();
    load.goes_on(100);
    load.ends_without_a_failure();
}

#[test]
fn where_the_new_process_dies_with_the_sockets_in_its_hands_the_old_one_goes_on() {
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, ""));
    let load = Load::start(foreshift.web, 4);
    for round in 0..3 {
        let stream = UnixStream::connect(foreshift.folder().join("meta.redb.handover")).unwrap();
        (&stream)
            .write_all(b"{\"foreshift_handover\":1,\"pid\":1}\n")
            .unwrap();
        let mut offer = String::new();
        BufReader::new(&stream).read_line(&mut offer).unwrap();
        let offer: Value = serde_json::from_str(&offer).unwrap();
        assert_eq!(offer["listeners"][0]["name"], "web");
        drop(stream);
        load.goes_on(50);
        writes(&foreshift, &format!("n{round}"));
    }
    load.ends_without_a_failure();
    assert!(foreshift.process.has_ended().is_none());
}

#[test]
fn where_the_old_process_dies_while_it_is_asked_the_new_one_starts_as_usual() {
    let node = PlainNode::start("a");
    let folder = tempfile::tempdir().unwrap();
    let old = UnixListener::bind(folder.path().join("meta.redb.handover")).unwrap();
    std::fs::write(folder.path().join("foreshift.toml"), config(&node, "")).unwrap();
    let dies = std::thread::spawn(move || {
        let (stream, _) = old.accept().unwrap();
        let mut ask = String::new();
        BufReader::new(stream).read_line(&mut ask).unwrap();
        ask
    });
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command
        .current_dir(folder.path())
        .args(["run", "-c", "foreshift.toml", "--take-over"])
        .env("NO_COLOR", "1");
    let foreshift = Foreshift::by(folder, command);
    assert!(dies.join().unwrap().contains("foreshift_handover"));
    let load = Load::start(foreshift.web, 2);
    load.goes_on(50);
    load.ends_without_a_failure();
}

#[test]
fn the_hand_over_socket_is_for_its_user_alone_and_nonsense_on_it_does_no_harm() {
    use std::os::unix::fs::PermissionsExt;
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, ""));
    let place = foreshift.folder().join("meta.redb.handover");
    assert_eq!(
        std::fs::metadata(&place).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for nonsense in [
        "",
        "\n",
        "{}\n",
        "{\"foreshift_handover\":2,\"pid\":1}\n",
        "\u{0}\u{1}\n",
    ] {
        let mut stream = UnixStream::connect(&place).unwrap();
        stream.write_all(nonsense.as_bytes()).unwrap();
    }
    writes(&foreshift, "b");
    foreshift.is_replaced();
    assert!(TcpStream::connect(foreshift.web).is_ok());
}
