//! What `foreshift` cannot start with is named, with what to do, and ends it.

mod common;

use std::{fs, net::TcpListener};

use common::{
    foreshift::{Foreshift, config, free_address, to_its_end, write},
    peers::Node,
};

/// The configuration that the documentation shows first.
const FIRST: &str = r#"
[api]
address = "127.0.0.1:8090"
[meta]
store = "embedded"
path = "var/meta.redb"
[forecast]
prediction_horizon = "10s"
model = "auto"
[[listener]]
name = "web"
address = "127.0.0.1:8080"
protocol = "http"
pool = "app"
affinity = [{ header = "x-user" }, { cookie = "sid" }, { source_address = 32 }]
[[pool]]
name = "app"
mode = "act"
load_threshold = 80
migration_interval = "30s"
migration_strategy = "proxy"
check_interval = "500ms"
health = { path = "/healthz", interval = "1s", timeout = "500ms", rise = 2, fall = 3 }
handoff_path = "/handoff"
resume_path = "/resume"
[[pool.node]]
id = "a"
address = "127.0.0.1:9001"
zone = "z1"
capacity = { requests_in_flight = 64, connections = 10000 }
[[pool.node]]
id = "b"
address = "127.0.0.1:9002"
zone = "z1"
capacity = { requests_in_flight = 64, connections = 10000 }
"#;

#[test]
fn the_first_configuration_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), FIRST);
    let ended = to_its_end(folder.path(), &["check", "-c", "foreshift.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.printed);
}

#[test]
fn a_wrong_configuration_is_named_by_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    for (right, wrong, line, key) in [
        ("model = \"auto\"", "modle = \"auto\"", 9, "modle"),
        ("id = \"b\"", "id = \"a\"", 32, "pool[0].node[1].id"),
        (
            "check_interval = \"500ms\"",
            "check_interval = \"500\"",
            22,
            "pool[0].check_interval",
        ),
        ("pool = \"app\"", "pool = \"apps\"", 14, "listener[0].pool"),
        (
            "load_threshold = 80",
            "load_threshold = 800",
            19,
            "pool[0].load_threshold",
        ),
        ("[forecast]", "[forecast", 7, "]"),
    ] {
        assert!(FIRST.contains(right), "{right}");
        write(folder.path(), &FIRST.replace(right, wrong));
        for command in ["check", "run"] {
            let ended = to_its_end(folder.path(), &[command, "-c", "foreshift.toml"]);
            assert_eq!(ended.code, Some(1), "{command} with {wrong}: {}", ended.printed);
            for word in ["foreshift.toml", &format!("line {line}"), key] {
                assert!(
                    ended.printed.contains(word),
                    "{command} with {wrong}, {word:?}: {}",
                    ended.printed
                );
            }
        }
        assert!(
            !folder.path().join("var").exists(),
            "{wrong}: metadata was touched"
        );
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ended = to_its_end(folder.path(), &["run", "-c", "nowhere.toml"]);
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
    assert!(ended.printed.contains("nowhere.toml"), "{}", ended.printed);
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let ended = to_its_end(folder.path(), &["run", "--no-such-flag"]);
    assert_eq!(ended.code, Some(2), "{}", ended.printed);
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    for (api, web) in [(taken, free_address()), (free_address(), taken)] {
        let node = "[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n";
        write(folder.path(), &(config(api, web, &[], "") + node));
        let ended = to_its_end(folder.path(), &["run", "-c", "foreshift.toml"]);
        assert_eq!(ended.code, Some(1), "{}", ended.printed);
        assert!(ended.printed.contains(&taken.to_string()), "{}", ended.printed);
        assert!(ended.printed.contains("in use"), "{}", ended.printed);
    }
}

#[test]
fn damaged_metadata_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let meta = folder.path().join("meta.redb");
    fs::write(&meta, b"this is no database".repeat(1000)).unwrap();
    let node = "[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n";
    write(
        folder.path(),
        &(config(free_address(), free_address(), &[], "") + node),
    );
    let ended = to_its_end(folder.path(), &["run", "-c", "foreshift.toml"]);
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
    assert!(ended.printed.contains("meta.redb"), "{}", ended.printed);
    assert_eq!(fs::read(&meta).unwrap(), b"this is no database".repeat(1000));
}

#[test]
fn metadata_of_another_process_is_named() {
    let a = Node::http("a");
    let first = Foreshift::start(&[&a], "");
    write(first.folder(), &config(free_address(), free_address(), &[&a], ""));
    let ended = to_its_end(first.folder(), &["run", "-c", "foreshift.toml"]);
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
    assert!(ended.printed.contains("meta.redb"), "{}", ended.printed);
}

#[test]
fn a_model_that_cannot_be_used_is_named_by_line_and_key_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.onnx"), "not a model").unwrap();
    fs::write(folder.path().join("text.safetensors"), "not a model").unwrap();
    for (path, reason) in [
        ("missing.onnx", "cannot read missing.onnx: No such file"),
        ("text.onnx", "no ONNX model that can be run"),
        ("text.safetensors", "no safetensors file"),
        ("model.pt", "neither an .onnx nor a .safetensors file"),
    ] {
        let model = format!("[pool.forecast]\nmodel_path = \"{path}\"\n[[pool.node]]\nid = \"a\"");
        write(folder.path(), &FIRST.replace("[[pool.node]]\nid = \"a\"", &model));
        for command in ["check", "run"] {
            let ended = to_its_end(folder.path(), &[command, "-c", "foreshift.toml"]);
            assert_eq!(ended.code, Some(1), "{path}: {}", ended.printed);
            for part in ["line 27", "pool[0].forecast.model_path", reason] {
                assert!(ended.printed.contains(part), "{path}: {part}: {}", ended.printed);
            }
        }
    }
}
