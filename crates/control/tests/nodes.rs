//! Nodes are added, drained and removed over the API.

mod common;

use foreshift_wire::NodeState;

#[test]
fn an_added_node_gets_its_share_of_the_keys_and_a_removed_one_leaves_none_behind() {
    let running = common::start(&common::config(common::TWO_NODES));
    let spec = "{\"id\":\"c\",\"address\":\"127.0.0.1:9003\",\"zone\":\"z2\"}";
    let added = running.post("/v1/pools/app/nodes", spec);
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.ok()["observed_state"], "ready");
    let buckets = |running: &common::Running| -> Vec<u64> {
        let nodes = running.get("/v1/pools/app/nodes").ok();
        nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["buckets"].as_u64().unwrap())
            .collect()
    };
    let shares = buckets(&running);
    assert_eq!(shares.len(), 3);
    assert_eq!(shares.iter().sum::<u64>(), 65_536);
    assert!(
        shares.iter().all(|share| (10_000..30_000).contains(share)),
        "{shares:?}"
    );

    running.post("/v1/pools/app/nodes", spec).problem(409);
    assert_eq!(running.delete("/v1/pools/app/nodes/c").status, 204);
    assert_eq!(buckets(&running).len(), 2);
    assert_eq!(running.routes().nodes.len(), 2);
}

#[test]
fn a_node_out_of_range_is_refused_with_the_key() {
    let running = common::start(&common::config(common::TWO_NODES));
    for (spec, key) in [
        ("{\"id\":\"c\",\"address\":\"nowhere\"}", "address"),
        (
            "{\"id\":\"c\",\"address\":\"127.0.0.1:1\",\"weight\":0}",
            "weight",
        ),
        (
            "{\"id\":\"c\",\"address\":\"127.0.0.1:1\",\"state\":\"joining\"}",
            "state",
        ),
        (
            "{\"id\":\"c\",\"address\":\"127.0.0.1:1\",\"capacity\":{\"requests_in_flight\":0}}",
            "requests_in_flight",
        ),
        ("{\"id\":\"c d\",\"address\":\"127.0.0.1:1\"}", "id"),
        (
            "{\"id\":\"c\",\"address\":\"127.0.0.1:1\",\"colour\":1}",
            "colour",
        ),
    ] {
        let detail = running.post("/v1/pools/app/nodes", spec).problem(422);
        assert!(detail.contains(key), "{spec}: {detail}");
    }
    assert_eq!(running.routes().nodes.len(), 2);
}

#[test]
fn a_draining_node_owns_no_bucket_and_is_removed_once_it_is_empty() {
    let running = common::start(&common::config(common::TWO_NODES));
    let busy = common::pool_report(vec![
        common::node_report("a", 10, 3),
        common::node_report("b", 10, 3),
    ]);
    running.plane.set(|seen| seen.pools = vec![busy]);
    running.until("connections are seen", |running| {
        (running.get("/v1/pools/app/nodes").ok()[0]["signals"]["connections"] == 3.0).then_some(())
    });
    let detail = running.delete("/v1/pools/app/nodes/a").problem(409);
    assert!(detail.contains("drain"), "{detail}");

    let drained = running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .ok();
    assert_eq!(
        (&drained["observed_state"], &drained["buckets"]),
        (&"draining".into(), &0.into())
    );
    assert_eq!(running.routes().nodes[0].observed, NodeState::Draining);

    let empty = common::pool_report(vec![
        common::node_report("a", 0, 0),
        common::node_report("b", 10, 6),
    ]);
    running.plane.set(|seen| seen.pools = vec![empty]);
    running.until("it is empty and removed", |running| {
        (running.delete("/v1/pools/app/nodes/a").status == 204).then_some(())
    });
}

#[test]
fn a_node_with_connections_goes_when_forced() {
    let running = common::start(&common::config(common::TWO_NODES));
    running
        .plane
        .set(|seen| seen.pools = vec![common::pool_report(vec![common::node_report("a", 1, 3)])]);
    running.until("connections are seen", |running| {
        (running.get("/v1/pools/app/nodes").ok()[0]["signals"]["connections"] == 3.0).then_some(())
    });
    running.delete("/v1/pools/app/nodes/a").problem(409);
    assert_eq!(running.delete("/v1/pools/app/nodes/a?force=true").status, 204);
}
