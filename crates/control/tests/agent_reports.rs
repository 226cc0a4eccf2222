//! What `foreshift agent` sends: who may, what counts, and that nothing counts twice.

mod common;

use std::{fs, path::Path};

use common::{Running, TWO_NODES, config, start};
use foreshift_wire::Config;
use serde_json::{Value, json};

const PATH: &str = "/v1/pools/app/nodes/a/agent";

fn with_agents(folder: &Path, more: &str) -> Config {
    let mut config = config(TWO_NODES);
    let text = format!("token_file = {:?}\n{more}", folder.join("agent.token"));
    config.agent = Some(toml::from_str(&text).unwrap());
    config
}

fn token(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("agent.token")).unwrap();
    format!("Bearer {}", text.trim())
}

fn send(running: &Running, authorization: &str, body: &Value) -> common::Answer {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", authorization),
    ];
    running.send("POST", PATH, Some(&body.to_string()), &headers)
}

fn samples(run: &str, seqs: std::ops::RangeInclusive<u64>) -> Value {
    let last = *seqs.end();
    let sample = |seq: u64| json!({ "seq": seq, "age_ms": (last - seq) * 2_000, "cpu": 0.25, "memory": 0.5, "load_1m": 3.5 });
    json!({ "run": run, "samples": seqs.map(sample).collect::<Vec<_>>() })
}

fn source(running: &Running) -> Value {
    let nodes = running.get("/v1/pools/app/nodes").ok();
    nodes[0]["sources"][0].clone()
}

#[test]
fn only_who_has_the_token_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&with_agents(folder.path(), ""));
    let token = token(folder.path());
    let wrong = format!("{token}0");
    for authorization in [
        "",
        "Bearer ",
        "Bearer wrong",
        "Basic dTpw",
        &wrong,
        &token[..token.len() - 1],
    ] {
        let detail = send(&running, authorization, &samples("r", 1..=1)).problem(401);
        assert!(detail.contains("agent.token_file"), "{authorization:?}: {detail}");
    }
    assert_eq!(source(&running), Value::Null);
    send(&running, &token, &samples("r", 1..=1)).ok();
    send(&running, &token.replace("Bearer", "bearer"), &samples("r", 2..=2)).ok();
    assert_eq!(source(&running)["reports"], 2);
    let off = start(&config(TWO_NODES));
    let detail = send(&off, &token, &samples("r", 1..=1)).problem(403);
    assert!(detail.contains("no [agent]"), "{detail}");
}

#[test]
fn what_is_sent_again_counts_once_and_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&with_agents(folder.path(), ""));
    let token = token(folder.path());
    for (run, seqs, taken, newest) in [
        ("r1", 1..=3, 3, 3),
        ("r1", 1..=3, 0, 3),
        ("r1", 2..=5, 2, 5),
        ("r2", 1..=1, 1, 1),
        ("r1", 5..=6, 1, 6),
    ] {
        let told = send(&running, &token, &samples(run, seqs.clone())).ok();
        assert_eq!(
            (&told["taken"], &told["newest_seq"]),
            (&taken.into(), &newest.into()),
            "{run} {seqs:?}"
        );
    }
    let source = source(&running);
    assert_eq!(
        (&source["kind"], &source["reports"]),
        (&"agent".into(), &7.into())
    );
    assert_eq!(
        (&source["load"]["cpu"], &source["stale"]),
        (&0.25.into(), &false.into())
    );
    assert_eq!(source["figures"], json!({ "load_1m": 3.5 }));
    running.next_tick();
    running.next_tick();
    let nodes = running.get("/v1/pools/app/nodes").ok();
    assert_eq!(nodes[0]["load_score"], 50.0);
}

#[test]
fn what_was_measured_while_nobody_listened_fills_the_past_and_makes_no_load_now() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&with_agents(folder.path(), ""));
    let token = token(folder.path());
    let old = |seq: u64| json!({ "seq": seq, "age_ms": 100_000 - seq * 10_000, "cpu": seq as f64 / 10.0 });
    let report = json!({ "run": "r", "samples": (1..=8).map(old).collect::<Vec<_>>() });
    assert_eq!(send(&running, &token, &report).ok()["taken"], 8);
    assert_eq!(send(&running, &token, &report).ok()["taken"], 0);
    let series = running
        .get("/v1/pools/app/nodes/a/series?metric=cpu&resolution=1s")
        .ok();
    let points = series["points"].as_array().unwrap();
    let means: Vec<f64> = points
        .iter()
        .map(|point| point["mean"].as_f64().unwrap())
        .collect();
    assert_eq!(means, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    assert!(points.iter().all(|point| point["count"] == 1), "{points:?}");
    assert_eq!(
        (&source(&running)["stale"], &source(&running)["reports"]),
        (&true.into(), &8.into())
    );
    running.next_tick();
    assert_eq!(
        running.get("/v1/pools/app/nodes").ok()[0]["signals"]["cpu"],
        Value::Null
    );
}

#[test]
fn garbage_is_refused_by_name_and_nothing_of_it_counts() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&with_agents(folder.path(), ""));
    let token = token(folder.path());
    for (sample, name) in [
        (json!({ "seq": 2, "age_ms": 0, "cpu": -0.5 }), "samples[1].cpu: "),
        (
            json!({ "seq": 2, "age_ms": 0, "memory": 1e300 }),
            "samples[1].memory: ",
        ),
        (
            json!({ "seq": 2, "age_ms": 0, "network_bytes_per_s": 1e16 }),
            "samples[1].network_bytes_per_s: ",
        ),
        (json!({ "seq": 0, "age_ms": 0 }), "samples[1].seq: "),
    ] {
        let good = json!({ "seq": 1, "age_ms": 0, "cpu": 0.5 });
        let detail = send(
            &running,
            &token,
            &json!({ "run": "r", "samples": [good, sample] }),
        )
        .problem(422);
        assert!(detail.starts_with(name), "{detail}");
    }
    // A time of day is no part of a sample: the agent's clock is never asked.
    let dated = json!({ "run": "r", "samples": [{ "seq": 1, "age_ms": 0, "at_ms": 1 }] });
    assert!(send(&running, &token, &dated).problem(422).contains("at_ms"));
    assert_eq!(source(&running), Value::Null);
    let many: Vec<_> = (1..=129).map(|seq| json!({ "seq": seq, "age_ms": 0 })).collect();
    let detail = send(&running, &token, &json!({ "run": "r", "samples": many })).problem(422);
    assert!(detail.contains("too many"), "{detail}");
}
