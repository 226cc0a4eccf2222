//! Nodes that fail are left out for a while, and nodes that are new get their keys little by little.

mod common;

use common::{Running, TWO_NODES, config, node, node_report, pool_report, start};
use foreshift_wire::{NodeReport, NodeState};

fn failing(id: &str, in_a_row: u32) -> NodeReport {
    let mut report = node_report(id, 10, 0);
    report.resilience.failed_in_a_row = in_a_row;
    report
}

fn shown(running: &Running, id: &str, key: &str) -> serde_json::Value {
    let nodes = running.get("/v1/pools/app/nodes").ok();
    let mut nodes = nodes.as_array().unwrap().iter();
    nodes.find(|node| node["id"] == id).unwrap()[key].clone()
}

#[test]
fn a_node_that_fails_is_left_out_shown_and_taken_back() {
    let settings = "outlier = { ejection_time = \"1s\", ejection_time_max = \"1s\" }\n";
    let running = start(&config(&format!("{settings}{TWO_NODES}")));
    let events = running.stream("/v1/events");
    running
        .plane
        .set(|seen| seen.pools = vec![pool_report(vec![failing("a", 5), failing("b", 5)])]);
    let ejected = running.until("a is left out", |running| {
        let ejected = shown(running, "a", "ejected");
        (!ejected.is_null()).then_some(ejected)
    });
    assert_eq!(ejected["reason"], "5 errors in a row");
    assert!(shown(&running, "b", "ejected").is_null(), "one of two at most");
    assert_eq!(shown(&running, "a", "observed_state"), "ready", "it is not down");
    let metrics = running.get("/metrics").text;
    assert!(metrics.contains("foreshift_node_ejected{pool=\"app\",node=\"a\"} 1"));
    let record = |running: &Running| {
        running
            .routes()
            .nodes
            .into_iter()
            .find(|n| n.spec.id == node("a"))
    };
    assert!(record(&running).is_some_and(|record| record.ejected.is_some()));
    running
        .plane
        .set(|seen| seen.pools = vec![pool_report(vec![failing("a", 0), failing("b", 0)])]);
    running.until("a is back", |running| {
        shown(running, "a", "ejected").is_null().then_some(())
    });
    assert!(record(&running).is_some_and(|record| record.ejected.is_none()));
    let told: Vec<String> = events
        .filter(|line| line.contains("\"type\":\"outlier\""))
        .take(2)
        .collect();
    assert!(
        told[0].contains("5 errors in a row") && told[1].contains("\"ejected\":null"),
        "{told:?}"
    );
}

#[test]
fn an_ejection_outlives_a_restart() {
    let settings = config(&format!("outlier = {{ ejection_time = \"1m\" }}\n{TWO_NODES}"));
    let running = start(&settings);
    running
        .plane
        .set(|seen| seen.pools = vec![pool_report(vec![failing("a", 9)])]);
    let until = running.until("a is left out", |running| {
        shown(running, "a", "ejected")["until_ms"].as_u64()
    });
    let again = common::start_with(&settings, running.stop());
    again.next_tick();
    again.next_tick();
    assert_eq!(shown(&again, "a", "ejected")["until_ms"].as_u64(), Some(until));
}

#[test]
fn a_new_node_gets_its_buckets_in_steps_that_never_fall() {
    let running = start(&config(&format!("slow_start = \"2s\"\n{TWO_NODES}")));
    running.next_tick();
    for id in ["a", "b"] {
        assert!(
            shown(&running, id, "slow_start_share").is_null(),
            "nobody could spare it"
        );
    }
    let body = r#"{ "id": "c", "address": "127.0.0.1:9003" }"#;
    let added = running.post("/v1/pools/app/nodes", body).ok();
    let mut seen = vec![added["buckets"].as_u64().unwrap()];
    running.until("it has all of its share", |running| {
        let node = shown(running, "c", "buckets").as_u64().unwrap();
        if seen.last() != Some(&node) {
            seen.push(node);
        }
        shown(running, "c", "slow_start_share").is_null().then_some(())
    });
    seen.push(shown(&running, "c", "buckets").as_u64().unwrap());
    assert!(seen[0] < 6_000, "a tenth of its share at first: {seen:?}");
    assert!(seen.len() > 5, "in steps: {seen:?}");
    assert!(seen.last() > Some(&17_000), "{seen:?}");
    let falls = seen.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(falls, 0, "{seen:?}");
}

#[test]
fn a_node_that_was_down_starts_slowly_too() {
    let running = start(&config(&format!("slow_start = \"1m\"\n{TWO_NODES}")));
    let state = |state: &str| {
        let body = format!(r#"{{ "state": "{state}" }}"#);
        running.put("/v1/pools/app/nodes/b/state", &body).ok()
    };
    state("down");
    assert_eq!(state("ready")["slow_start_share"], 0.1);
    let map = running.routes();
    let record = map.nodes.iter().find(|n| n.spec.id == node("b")).unwrap();
    assert!((record.map_weight() - 0.1).abs() < 1e-9 && record.observed == NodeState::Ready);
}
