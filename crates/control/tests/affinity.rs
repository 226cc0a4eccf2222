//! Keys are looked up, pinned and unpinned.

mod common;

use common::{Running, TWO_NODES, config, start};
use foreshift_wire::MoveFailure;

fn home(running: &Running, key: &str) -> String {
    let view = running.get(&format!("/v1/pools/app/affinity/{key}")).ok();
    view["node"].as_str().unwrap().to_owned()
}

fn other(node: &str) -> &'static str {
    if node == "a" { "b" } else { "a" }
}

#[test]
fn a_key_has_one_session_however_it_is_written() {
    let running = start(&config(TWO_NODES));
    let view = running.get("/v1/pools/app/affinity/a%2Fb%20%C3%A9").ok();
    assert_eq!(view["key"], "a/b é");
    assert_eq!(view["session"].as_str().unwrap().len(), 32);
    assert_eq!(view["override"], serde_json::Value::Null);
    assert_eq!(view, running.get("/v1/pools/app/affinity/%61%2fb%20é").ok());
}

#[test]
fn a_pin_moves_the_key_and_stays_when_it_settled() {
    let running = start(&config(TWO_NODES));
    let from = home(&running, "k");
    let target = other(&from);
    let view = running
        .put("/v1/pools/app/affinity/k", &format!("{{\"node\":\"{target}\"}}"))
        .ok();
    assert_eq!(view["node"], target);
    assert_eq!(view["override"]["moving_from"], from);
    running
        .put("/v1/pools/app/affinity/k", &format!("{{\"node\":\"{from}\"}}"))
        .problem(409);

    running.handed_over(&running.routes().overrides[0], &from, None);
    let settled = running.until("the move is done", |running| {
        running.moves().into_iter().find(|made| made["state"] == "done")
    });
    assert_eq!(settled["outcome"]["connections"], 1);
    assert_eq!(settled["outcome"]["pause_us_max"], 1_500);
    assert_eq!(settled["reason"]["code"], "operator");
    let set = &running.routes().overrides[0];
    assert!(
        set.pinned && set.moving_from.is_none() && set.expires_ms.is_none(),
        "{set:?}"
    );

    assert_eq!(running.delete("/v1/pools/app/affinity/k").status, 204);
    let set = &running.routes().overrides[0];
    assert!(!set.pinned && set.expires_ms.is_some(), "{set:?}");
    assert_eq!(home(&running, "k"), target);
}

#[test]
fn a_pin_that_fails_gives_the_key_back() {
    let running = start(&config(TWO_NODES));
    let from = home(&running, "k");
    running
        .put(
            "/v1/pools/app/affinity/k",
            &format!("{{\"node\":\"{}\"}}", other(&from)),
        )
        .ok();
    let failure = MoveFailure::Connect {
        detail: "refused".into(),
    };
    running.handed_over(&running.routes().overrides[0], &from, Some(failure));
    let failed = running.until("the move has failed", |running| {
        running.moves().into_iter().find(|made| made["state"] == "failed")
    });
    assert_eq!(failed["outcome"]["failure"]["code"], "connect");
    assert_eq!(home(&running, "k"), from);
    assert!(running.routes().overrides.is_empty());
}

#[test]
fn a_key_is_pinned_where_it_lives_without_a_move() {
    let running = start(&config(TWO_NODES));
    let node = home(&running, "k");
    let view = running
        .put(
            "/v1/pools/app/affinity/k",
            &format!("{{\"node\":\"{node}\",\"ttl_s\":60}}"),
        )
        .ok();
    assert_eq!(view["override"]["pinned"], true);
    assert!(view["override"]["expires_ms"].as_u64().is_some());
    assert!(running.moves().is_empty());
}

#[test]
fn a_pin_to_a_node_that_takes_no_keys_is_refused() {
    let running = start(&config(TWO_NODES));
    running
        .put("/v1/pools/app/nodes/b/state", "{\"state\":\"draining\"}")
        .ok();
    let detail = running
        .put("/v1/pools/app/affinity/k", "{\"node\":\"b\"}")
        .problem(409);
    assert!(detail.contains("draining"), "{detail}");
    running
        .put("/v1/pools/app/affinity/k", "{\"node\":\"zz\"}")
        .problem(404);
    running
        .put("/v1/pools/app/affinity/k", "{\"node\":\"a\",\"ttl_s\":0}")
        .problem(422);
    running
        .put(
            "/v1/pools/app/affinity/k",
            "{\"node\":\"a\",\"ttl_s\":18446744073709551615}",
        )
        .problem(422);
}
