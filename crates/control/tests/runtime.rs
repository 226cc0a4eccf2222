//! What operators set at run time, what it differs from, and that a restart keeps it.

mod common;

use common::{Running, TWO_NODES, config, connection, start, start_with};
use foreshift_wire::SessionId;
use serde_json::{Value, json};

fn patch(running: &Running, id: &str, body: &Value) -> common::Answer {
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    running.send(
        "PATCH",
        &format!("/v1/pools/app/nodes/{id}"),
        Some(&body),
        &headers,
    )
}

fn node(running: &Running, id: &str) -> Value {
    let nodes = running.get("/v1/pools/app/nodes").ok();
    nodes
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["id"] == id)
        .unwrap()
        .clone()
}

#[test]
fn a_weight_is_set_absolutely_or_by_percent_and_reset() {
    let running = start(&config(TWO_NODES));
    let buckets = |running: &Running| node(running, "a")["buckets"].as_u64().unwrap();
    let even = buckets(&running);
    let view = patch(&running, "a", &json!({"weight": 3})).ok();
    assert_eq!(
        (&view["weight"], &view["runtime"]["weight"]),
        (&json!(1.0), &json!(3.0))
    );
    assert_eq!(view["differs"], json!(["weight 3, configured 1"]));
    assert!(buckets(&running) > even, "a heavier node has more keys");
    patch(&running, "a", &json!({"weight": "50%"})).ok();
    assert_eq!(node(&running, "a")["runtime"]["weight"], 0.5);
    assert!(buckets(&running) < even);
    patch(&running, "a", &json!({"weight": 0})).ok();
    assert_eq!(buckets(&running), 0);
    // Kept by a restart, which reads the configuration again.
    let running = start_with(&config(TWO_NODES), running.stop());
    assert_eq!(
        (
            buckets(&running),
            node(&running, "a")["runtime"]["weight"].clone()
        ),
        (0, json!(0.0))
    );
    let view = running.delete("/v1/pools/app/nodes/a/runtime").ok();
    assert_eq!(
        (&view["runtime"], &view["differs"]),
        (&Value::Null, &Value::Null),
        "{view}"
    );
    assert_eq!(buckets(&running), even);
    patch(&running, "a", &json!({"weight": "150%"})).ok();
    patch(&running, "a", &json!({"weight": "100%"})).ok();
    assert_eq!(
        node(&running, "a")["runtime"],
        Value::Null,
        "all of it is as configured"
    );
}

#[test]
fn a_limit_is_set_and_shown() {
    let running = start(&config(TWO_NODES));
    let view = patch(&running, "b", &json!({"maxconn": 20})).ok();
    assert_eq!(view["differs"], json!(["maxconn 20, configured none"]));
    let spec = &running.routes().nodes[1].spec;
    assert_eq!((spec.effective_maxconn(), spec.maxconn), (Some(20), None));
}

#[test]
fn health_is_forced_with_and_without_checks() {
    // Nothing listens at these addresses, so the checks fail.
    let checked = format!("health = {{ interval = \"1s\", rise = 1, fall = 1 }}\n{TWO_NODES}");
    for pool in [TWO_NODES, &checked] {
        let running = start(&config(pool));
        let order = |health: &str| patch(&running, "a", &json!({"health": health})).ok();
        let down = order("down");
        assert_eq!(down["observed_state"], "down");
        assert_eq!(down["state_reason"], "the operator says that it is down");
        assert_eq!(order("up")["observed_state"], "ready");
        assert_eq!(order("up")["differs"], json!(["health up"]));
    }
    let running = start(&config(&checked));
    running.until("b is found to be down", |running| {
        (node(running, "b")["observed_state"] == "down").then_some(())
    });
    patch(&running, "b", &json!({"health": "frozen"})).ok();
    assert_eq!(node(&running, "b")["observed_state"], "down");
    patch(&running, "b", &json!({"health": "up"})).ok();
    assert_eq!(node(&running, "b")["observed_state"], "ready");
    patch(&running, "b", &json!({"health": "auto"})).ok();
    running.until("its checks decide again", |running| {
        (node(running, "b")["observed_state"] == "down").then_some(())
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let running = start(&config(TWO_NODES));
    for (body, status) in [
        (json!({"weight": -1}), 422),
        (json!({"weight": "much"}), 422),
        (json!({"maxconn": 0}), 422),
        (json!({"health": "fine"}), 422),
        (json!({"wieght": 1}), 422),
    ] {
        patch(&running, "a", &body).problem(status);
    }
    patch(&running, "zz", &json!({"weight": 1})).problem(404);
    assert_eq!(node(&running, "a")["differs"], Value::Null);
    running.delete("/v1/pools/app/nodes/zz/sessions").problem(404);
    running.delete("/v1/connections/99").problem(404);
    running.get("/v1/pools/app/affinity?nod=a").problem(400);
}

#[test]
fn sessions_of_a_node_and_single_streams_are_ended() {
    let running = start(&config(TWO_NODES));
    running.plane.set(|seen| {
        seen.connections = [(1, "a"), (2, "a"), (3, "b")]
            .map(|(id, on)| connection(id, on, SessionId(id.into()), "k"))
            .into();
    });
    assert_eq!(
        running.delete("/v1/pools/app/nodes/a/sessions").ok(),
        json!({"count": 2})
    );
    assert_eq!(running.delete("/v1/connections/3").ok(), json!({"count": 1}));
    assert_eq!(running.get("/v1/connections").ok(), json!([]));
}

#[test]
fn placed_keys_are_listed_pinned_by_session_and_given_back() {
    let running = start(&config(TWO_NODES));
    let view = running.get("/v1/pools/app/affinity/k").ok();
    let (session, home) = (view["session"].as_str().unwrap(), view["node"].as_str().unwrap());
    let pinned = running.put(
        &format!("/v1/pools/app/sessions/{session}"),
        &json!({"node": home, "ttl_s": 60}).to_string(),
    );
    assert_eq!(pinned.ok()["override"]["pinned"], true);
    let listed = running
        .get(&format!("/v1/pools/app/affinity?node={home}&pinned=true"))
        .ok();
    assert_eq!(
        (listed.as_array().unwrap().len(), listed[0]["session"].as_str()),
        (1, Some(session))
    );
    assert_eq!(running.get("/v1/pools/app/affinity?pinned=false").ok(), json!([]));
    assert_eq!(running.get("/v1/info").ok()["pools"][0]["overrides"], 1);
    let given_back = running
        .delete(&format!("/v1/pools/app/affinity?session={session}"))
        .ok();
    assert_eq!(given_back, json!({"count": 1}));
    assert_eq!(
        running.get("/v1/pools/app/affinity/k").ok()["override"],
        Value::Null
    );
    assert_eq!(running.delete("/v1/pools/app/affinity").ok(), json!({"count": 0}));
}

#[test]
fn nodes_that_are_not_in_the_file_are_shown_to_differ() {
    let running = start(&config(TWO_NODES));
    running
        .post(
            "/v1/pools/app/nodes",
            &json!({"id": "c", "address": "127.0.0.1:9"}).to_string(),
        )
        .ok();
    assert_eq!(node(&running, "c")["differs"], json!(["added at run time"]));
    running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .ok();
    assert_eq!(node(&running, "a")["differs"], json!(["state draining"]));
    let info = running.get("/v1/info").ok();
    assert_eq!(
        (&info["pools"][0]["nodes"], &info["pools"][0]["differ"]),
        (&json!(3), &json!(2))
    );
}
