//! Clients leave a node that is about to be overloaded, as far as the pool's mode allows.

mod common;

use common::{Running, TWO_NODES, app, config, node, node_report, pool_report, start};
use foreshift_wire::{KeyReport, MoveFailure, SessionId};

const KEYS: usize = 8;

/// Keys that live on `on`, with their sessions.
fn keys_on(running: &Running, on: &str) -> Vec<(String, SessionId)> {
    let keys = (0..1_000).map(|n| format!("user-{n}")).filter_map(|key| {
        let view = running.get(&format!("/v1/pools/app/affinity/{key}")).ok();
        (view["node"] == on).then(|| (key, view["session"].as_str().unwrap().parse().unwrap()))
    });
    keys.take(KEYS).collect()
}

/// Node `a` is nearly full with the work of a few keys, node `b` has room.
fn overload(running: &Running) {
    let key = |(key, session)| KeyReport {
        session,
        key,
        node: node("a"),
        requests: 100,
        bytes: 1_000,
        busy_us: 0,
        open: 1,
        error: 0,
    };
    let keys = keys_on(running, "a").into_iter().map(key).collect();
    running.plane.set(|seen| {
        let mut report = pool_report(vec![node_report("a", 800, 8), node_report("b", 100, 8)]);
        for node in &mut report.nodes {
            node.busy_us = 0;
        }
        report.keys = keys;
        seen.pools = vec![report];
    });
    running
        .post("/v1/pools/app/nodes/a/report", "{\"utilisation\":0.95}")
        .ok();
    running
        .post("/v1/pools/app/nodes/b/report", "{\"utilisation\":0.2}")
        .ok();
}

fn moved(running: &Running) -> Option<Vec<serde_json::Value>> {
    let moves = running.moves();
    (!moves.is_empty()).then_some(moves)
}

#[test]
fn in_mode_act_keys_move_and_the_move_ends_as_the_ingress_tells() {
    let running = start(&config(&format!("mode = \"act\"\n{TWO_NODES}")));
    overload(&running);
    let moves = running.until("something moves", moved);
    for made in &moves {
        assert_eq!(
            (&made["from"], &made["to"], &made["state"]),
            (&"a".into(), &"b".into(), &"moving".into())
        );
        assert_eq!(made["unit"]["kind"], "key");
        let code = made["reason"]["code"].as_str().unwrap();
        assert!(
            code == "predicted_overload" || code == "current_overload",
            "{code}"
        );
        assert!(made["benefit"].as_f64().unwrap() > 0.0, "{made}");
    }
    let set = running.routes().overrides[0].clone();
    assert_eq!((&set.node, &set.moving_from), (&node("b"), &Some(node("a"))));
    running.handed_over(&set, "a", None);
    running.until("a move is done", |running| {
        running
            .moves()
            .into_iter()
            .find(|made| made["state"] == "done" && made["id"] == set.move_id.unwrap().0)
    });
    let settled = running
        .routes()
        .overrides
        .into_iter()
        .find(|o| o.session == set.session)
        .unwrap();
    assert!(
        settled.moving_from.is_none() && settled.node == node("b"),
        "{settled:?}"
    );
}

#[test]
fn a_key_whose_hand_over_failed_is_not_moved_again_at_once() {
    let running = start(&config(&format!(
        "mode = \"act\"\nmax_moves_per_tick = 1\n{TWO_NODES}"
    )));
    overload(&running);
    running.until("something moves", moved);
    let set = running.routes().overrides[0].clone();
    running.handed_over(
        &set,
        "a",
        Some(MoveFailure::Connect {
            detail: "refused".into(),
        }),
    );
    running.until("it has failed", |running| {
        running.moves().into_iter().find(|made| made["state"] == "failed")
    });
    assert!(
        running
            .routes()
            .overrides
            .iter()
            .all(|other| other.session != set.session)
    );
    (0..5).for_each(|_| running.next_tick());
    let of_key = running
        .moves()
        .into_iter()
        .filter(|made| made["unit"]["session"] == set.session.to_string());
    assert_eq!(of_key.count(), 1);
}

#[test]
fn in_mode_advise_moves_are_shown_once_and_nothing_moves() {
    let running = start(&config(&format!("mode = \"advise\"\n{TWO_NODES}")));
    overload(&running);
    let moves = running.until("advice is given", moved);
    assert!(moves.iter().all(|made| made["state"] == "advised"), "{moves:?}");
    (0..5).for_each(|_| running.next_tick());
    let mut units: Vec<_> = running
        .moves()
        .iter()
        .map(|made| made["unit"].to_string())
        .collect();
    let count = units.len();
    units.sort();
    units.dedup();
    assert_eq!(units.len(), count, "the same advice twice");
    let routes = running.routes();
    assert!(routes.overrides.is_empty() && routes.buckets.is_empty());
}

#[test]
fn in_mode_observe_nothing_happens_but_the_plan_shows_what_would() {
    let running = start(&config(&format!("mode = \"observe\"\n{TWO_NODES}")));
    overload(&running);
    let plan = running.until("a plan would move something", |running| {
        let plan = running.get("/v1/plan?pool=app").ok();
        (!plan[0]["plan"]["moves"].as_array().unwrap().is_empty()).then_some(plan)
    });
    assert_eq!(plan[0]["mode"], "observe");
    (0..3).for_each(|_| running.next_tick());
    assert!(running.moves().is_empty() && running.routes().overrides.is_empty());
}

#[test]
fn a_plan_says_why_a_node_is_left_alone() {
    let running = start(&config(&format!("mode = \"act\"\n{TWO_NODES}")));
    running
        .post("/v1/pools/app/nodes/a/report", "{\"utilisation\":0.3}")
        .ok();
    let reason = running.until("the node is measured", |running| {
        let plan = running.get("/v1/plan").ok();
        let stays = plan[0]["plan"]["stays"].as_array().unwrap().clone();
        stays
            .into_iter()
            .find(|stay| stay["node"] == "a" && stay["reason"] != "too_young")
    });
    assert_eq!(reason["reason"], "under_threshold");
}

#[test]
fn a_drained_node_loses_the_keys_that_were_placed_on_it_pinned_or_not_in_every_mode() {
    for (mode, unpin) in [("act", true), ("advise", false), ("observe", true)] {
        let pool = config(&format!(
            "mode = \"{mode}\"\nmigration_interval = \"1s\"\n{TWO_NODES}"
        ));
        let running = start(&pool);
        let (key, session) = keys_on(&running, "b").remove(0);
        running
            .put(&format!("/v1/pools/app/affinity/{key}"), "{\"node\":\"a\"}")
            .ok();
        running.handed_over(&running.routes().overrides[0], "b", None);
        running.until("the pin settled", |running| {
            running.routes().overrides[0].moving_from.is_none().then_some(())
        });
        if unpin {
            assert_eq!(
                running.delete(&format!("/v1/pools/app/affinity/{key}")).status,
                204
            );
        }
        for id in ["a", "b"] {
            let report = "{\"utilisation\":0.1}";
            running
                .post(&format!("/v1/pools/{}/nodes/{id}/report", app()), report)
                .ok();
        }
        running
            .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
            .ok();
        let drained = running.until("it is moved", |running| {
            running
                .moves()
                .into_iter()
                .find(|made| made["reason"]["code"] == "drain")
        });
        let (to, moved) = (&drained["to"], &drained["unit"]["session"]);
        assert_eq!(
            (to, moved),
            (&"b".into(), &session.to_string().into()),
            "mode {mode}"
        );
        assert_eq!(drained["state"], "moving", "mode {mode}");
    }
}
