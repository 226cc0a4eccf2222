//! A node fetches what it lacks with a token that is good once; what was replayed and what was done is counted.

mod common;

use std::time::Duration;

use common::{app, node, start_with_sessions};
use foreshift_wire::{SessionId, entries};

#[test]
fn a_node_fetches_what_it_requires_and_does_not_hold_once() {
    let (running, sessions) = start_with_sessions("compress_over = 1000000");
    let id = SessionId(rand::random());
    sessions.serving(&app(), id, &node("a"));
    let partitions = format!("/v1/sessions/{id}/partitions");
    let auth = running
        .put(&format!("{partitions}/auth/k"), "secret")
        .header("etag")
        .replace('"', "");
    running.put(&format!("{partitions}/cart/k"), "v").ok();
    running.put(&format!("{partitions}/history/k"), "long").ok();
    let required = ["auth".parse().unwrap(), "cart".parse().unwrap()];
    let ticket = || sessions.ticket(&app(), id, &node("b"), &required, Duration::from_secs(60));
    let replay = format!("/v1/sessions/{id}/replay");
    let fetch = |token: &str, held: &str| {
        let token = format!("Foreshift {token}");
        running.send(
            "GET",
            &replay,
            None,
            &[("authorization", &token), ("foreshift-held", held)],
        )
    };
    running.get(&replay).problem(401);
    fetch("wrong", "").problem(403);
    let token = ticket();
    fetch(&token, "no version").problem(400);
    let held = format!("auth={auth}");
    let fetched = fetch(&token, &held);
    assert_eq!(fetched.content_type, entries::CONTENT_TYPE);
    let digest = foreshift_store::content_digest(fetched.text.as_bytes());
    assert_eq!(fetched.header("content-digest"), digest);
    let items = entries::decode(fetched.text.into_bytes().into(), 1_000).unwrap();
    let keys: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            entries::Item::Entry(entry) => Some(entry.partition.as_str().to_owned()),
            entries::Item::Head(_) => None,
        })
        .collect();
    assert_eq!(keys, ["cart"], "{items:?}");
    fetch(&token, &held).problem(403);

    let stats = running.get("/v1/sessions/stats").ok();
    assert!(stats["bytes_not_required"].as_u64().unwrap() > 0, "{stats}");
    let metrics = running.get("/metrics").text;
    for line in [
        "foreshift_session_operations_total{operation=\"write\",partition=\"undeclared\",result=\"ok\"} 3\n",
        "foreshift_session_operation_seconds_count{operation=\"write\"} 3\n",
        "foreshift_session_replay_portions_total ",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains(&id.to_string()));
}
