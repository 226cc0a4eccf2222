//! What a former run left is taken over.

mod common;

use common::{TWO_NODES, config, start, start_with};

#[test]
fn added_nodes_and_wishes_stay_and_the_configuration_wins_on_what_it_says() {
    let running = start(&config(TWO_NODES));
    running
        .post(
            "/v1/pools/app/nodes",
            "{\"id\":\"c\",\"address\":\"127.0.0.1:9003\"}",
        )
        .ok();
    running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .ok();
    let session = running.get("/v1/pools/app/affinity/k").ok()["session"].clone();
    let meta = running.stop();

    let moved = TWO_NODES.replace("9001", "9011");
    let running = start_with(&config(&moved), meta);
    let nodes = running.get("/v1/pools/app/nodes").ok();
    let shown: Vec<_> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| ["id", "address", "observed_state"].map(|key| node[key].as_str().unwrap()))
        .collect();
    let expected = [
        ["a", "127.0.0.1:9011", "draining"],
        ["b", "127.0.0.1:9002", "ready"],
        ["c", "127.0.0.1:9003", "ready"],
    ];
    assert_eq!(shown, expected);
    assert_eq!(
        running.get("/v1/pools/app/affinity/k").ok()["session"],
        session,
        "the secret is kept"
    );
}

#[test]
fn a_node_that_left_the_configuration_is_gone_with_what_was_placed_on_it() {
    let running = start(&config(TWO_NODES));
    running
        .post(
            "/v1/pools/app/nodes",
            "{\"id\":\"c\",\"address\":\"127.0.0.1:9003\"}",
        )
        .ok();
    let home = running.get("/v1/pools/app/affinity/k").ok()["node"]
        .as_str()
        .unwrap()
        .to_owned();
    running
        .put("/v1/pools/app/affinity/k", &format!("{{\"node\":\"{home}\"}}"))
        .ok();
    running.put("/v1/pools/app/affinity/other", "{\"node\":\"b\"}");
    let meta = running.stop();

    let (only_a, _) = TWO_NODES.split_at(TWO_NODES.rfind("[[pool.node]]").unwrap());
    let running = start_with(&config(only_a), meta);
    let ids: Vec<_> = running
        .routes()
        .nodes
        .iter()
        .map(|node| node.spec.id.to_string())
        .collect();
    assert_eq!(
        ids,
        ["a", "c"],
        "b left the configuration, c was added over the API"
    );
    assert!(
        running
            .routes()
            .overrides
            .iter()
            .all(|set| set.node.as_str() != "b")
    );
}

#[test]
fn a_move_that_was_under_way_has_ended_and_its_route_is_kept() {
    let running = start(&config(TWO_NODES));
    let from = running.get("/v1/pools/app/affinity/k").ok()["node"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = if from == "a" { "b" } else { "a" };
    running
        .put("/v1/pools/app/affinity/k", &format!("{{\"node\":\"{target}\"}}"))
        .ok();
    let id = running.moves()[0]["id"].as_u64().unwrap();
    let meta = running.stop();

    let running = start_with(&config(TWO_NODES), meta);
    assert_eq!(running.moves()[0]["state"], "done");
    assert_eq!(running.get("/v1/pools/app/affinity/k").ok()["node"], target);
    // Whoever comes back is still handed over by the route.
    assert!(running.routes().overrides[0].moving_from.is_some());
    running
        .put("/v1/pools/app/affinity/other", "{\"node\":\"a\"}")
        .ok();
    running.put("/v1/pools/app/affinity/other", "{\"node\":\"b\"}");
    assert!(
        running
            .moves()
            .iter()
            .all(|made| made["id"].as_u64().unwrap() >= id)
    );
}
