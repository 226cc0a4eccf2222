//! A connection is moved by hand.

mod common;

use common::{TWO_NODES, config, connection, start};
use foreshift_wire::SessionId;

#[test]
fn a_connection_is_moved_and_the_move_can_be_followed() {
    let running = start(&config(TWO_NODES));
    let session: SessionId = running.get("/v1/pools/app/affinity/k").ok()["session"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let from = running.get("/v1/pools/app/affinity/k").ok()["node"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = if from == "a" { "b" } else { "a" };
    running
        .plane
        .set(|seen| seen.connections = vec![connection(7, &from, session, "k")]);

    let listed = running.get("/v1/connections?pool=app&key=k").ok();
    assert_eq!(listed[0]["id"], 7);
    let answer = running.post(
        "/v1/connections/7/migrate",
        &format!("{{\"target\":\"{target}\"}}"),
    );
    assert_eq!(answer.status, 202);
    let made = answer.ok();
    assert_eq!(
        (&made["state"], &made["unit"]["key"]),
        (&"moving".into(), &"k".into())
    );

    running
        .post(
            "/v1/connections/7/migrate",
            &format!("{{\"target\":\"{target}\"}}"),
        )
        .problem(409);
    running.handed_over(&running.routes().overrides[0], &from, None);
    running.until("it is done", |running| {
        (running.moves()[0]["state"] == "done").then_some(())
    });
    let set = &running.routes().overrides[0];
    assert!(
        set.moving_from.is_none() && !set.pinned && set.expires_ms.is_some(),
        "{set:?}"
    );
}

#[test]
fn a_target_that_makes_no_sense_is_refused() {
    let running = start(&config(TWO_NODES));
    let view = running.get("/v1/pools/app/affinity/k").ok();
    let (session, home) = (
        view["session"].as_str().unwrap().parse().unwrap(),
        view["node"].as_str().unwrap(),
    );
    let away = if home == "a" { "b" } else { "a" };
    running
        .plane
        .set(|seen| seen.connections = vec![connection(7, home, session, "k")]);
    running
        .put(
            &format!("/v1/pools/app/nodes/{away}/state"),
            "{\"state\":\"down\"}",
        )
        .ok();
    for (id, target, status) in [(7, home, 409), (7, away, 409), (7, "zz", 404), (9, away, 404)] {
        let path = format!("/v1/connections/{id}/migrate");
        running
            .post(&path, &format!("{{\"target\":\"{target}\"}}"))
            .problem(status);
    }
    assert!(running.moves().is_empty() && running.routes().overrides.is_empty());
}
