//! A configuration is read again: what changed applies, nobody is cut off, and a bad file changes nothing.

mod common;

use common::{
    foreshift::Foreshift,
    load::{Load, PlainNode},
    until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

fn config(nodes: &[(&str, &PlainNode)], more: &str) -> String {
    let mut text = format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n{more}\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ header = \"x-user\" }}]\n\
         [[pool]]\nname = \"app\"\nmode = \"act\"\ncheck_interval = \"100ms\"\n"
    );
    for (id, node) in nodes {
        text += &format!("[[pool.node]]\nid = \"{id}\"\naddress = \"{}\"\n", node.address);
    }
    text
}

fn reload(foreshift: &Foreshift) -> (u16, Value) {
    foreshift.api.post("/v1/reload", &Value::Null)
}

fn nodes(foreshift: &Foreshift) -> Vec<String> {
    let (_, nodes) = foreshift.api.get("/v1/pools/app/nodes");
    let ids = nodes.as_array().unwrap().iter();
    ids.map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nodes_come_and_go_under_load_without_a_failure() {
    let (a, b, c) = (
        PlainNode::start("a"),
        PlainNode::start("b"),
        PlainNode::start("c"),
    );
    let foreshift = Foreshift::with_config(&config(&[("a", &a), ("b", &b)], ""));
    let load = Load::start(foreshift.web, 8);
    for round in 0..4 {
        load.goes_on(300);
        foreshift.rewrite(&config(
            &[("b", &b), ("c", &c)],
            &format!("[ingress.limits]\nheaders = {}", 90 - round),
        ));
        let (status, answer) = reload(&foreshift);
        assert_eq!(status, 200, "{answer}");
        let keys: Vec<_> = answer["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["key"].clone())
            .collect();
        assert_eq!(
            keys,
            ["ingress.limits.headers", "pool[app].node[a]", "pool[app].node[c]"],
            "{answer}"
        );
        until(
            "a, which is not in the file any more, is drained and removed",
            || (nodes(&foreshift) == ["b", "c"]).then_some(()),
        );
        load.goes_on(300);
        foreshift.rewrite(&config(&[("a", &a), ("b", &b)], ""));
        assert_eq!(reload(&foreshift).0, 200);
        until("c is drained and removed", || {
            (nodes(&foreshift) == ["a", "b"]).then_some(())
        });
    }
    // The data plane hears of it a moment after control wrote it down.
    let before = until("c serves nobody any more", || {
        let before = c.served();
        load.goes_on(300);
        (c.served() == before).then_some(before)
    });
    load.ends_without_a_failure();
    assert!(a.served() > 0 && b.served() > 0 && before > 0);
}

#[test]
fn a_bad_file_changes_nothing_and_its_keys_and_lines_are_named() {
    let a = PlainNode::start("a");
    let foreshift = Foreshift::with_config(&config(&[("a", &a)], ""));
    foreshift.rewrite(&config(
        &[("a", &a)],
        "[ingress.limits]\nheaders = 0\n[ingress]\nworkers = 0",
    ));
    let (status, problem) = reload(&foreshift);
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    for says in [
        "line 6: ingress.limits.headers",
        "line 8: ingress.workers",
        "nothing changed",
    ] {
        assert!(detail.contains(says), "{says:?} in {detail}");
    }
    // What is wrong only once it is used is as harmless.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[[listener]]\nname = \"more\"\naddress = \"{}\"\npool = \"app\"\n",
        taken.local_addr().unwrap()
    );
    foreshift.rewrite(&format!("{more}{}", config(&[], "")));
    let (status, problem) = reload(&foreshift);
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("listener[0].address"),
        "{problem}"
    );
    assert_eq!(nodes(&foreshift), ["a"]);
    let load = Load::start(foreshift.web, 1);
    load.goes_on(10);
    load.ends_without_a_failure();
}

#[test]
fn a_signal_reloads_and_what_needs_a_restart_is_said() {
    let (a, b) = (PlainNode::start("a"), PlainNode::start("b"));
    let foreshift = Foreshift::with_config(&config(&[("a", &a)], ""));
    foreshift.rewrite(
        &config(&[("a", &a), ("b", &b)], "[ingress]\nworkers = 1").replace("meta.redb", "other.redb"),
    );
    foreshift.process.signal(Signal::HUP);
    until("b was added", || (nodes(&foreshift) == ["a", "b"]).then_some(()));
    let (_, answer) = reload(&foreshift);
    let later = |key: &str, kind: &str| json!({"key": key, "kind": kind, "needs_restart": true});
    assert_eq!(
        answer["changes"],
        json!([later("ingress.workers", "added"), later("meta.path", "changed")]),
        "{answer}"
    );
    assert!(!foreshift.folder().join("other.redb").exists());
}

#[test]
fn listeners_and_pools_are_added_and_removed() {
    let (a, b) = (PlainNode::start("a"), PlainNode::start("b"));
    let first = config(&[("a", &a)], "");
    let foreshift = Foreshift::with_config(&first);
    let more = format!(
        "[[listener]]\nname = \"more\"\naddress = \"127.0.0.1:0\"\npool = \"more\"\n\
         [[pool]]\nname = \"more\"\n[[pool.node]]\nid = \"b\"\naddress = \"{}\"\n",
        b.address
    );
    foreshift.rewrite(&format!("{first}{more}"));
    let (status, answer) = reload(&foreshift);
    assert_eq!(status, 200, "{answer}");
    let at = until("the log says where the new listener listens", || {
        let log = foreshift.process.printed();
        let line = log
            .lines()
            .find(|line| line.contains("listening listener=more"))?
            .to_owned();
        line.split_once("address=")?.1.parse().ok()
    });
    let load = Load::start(at, 2);
    load.goes_on(50);
    assert!(b.served() >= 50);
    load.ends_without_a_failure();
    foreshift.rewrite(&first);
    assert_eq!(reload(&foreshift).0, 200);
    until("nobody listens there any more", || {
        std::net::TcpStream::connect(at).is_err().then_some(())
    });
    assert_eq!(foreshift.api.get("/v1/pools/more").0, 404);
    let load = Load::start(foreshift.web, 1);
    load.goes_on(10);
    load.ends_without_a_failure();
}
