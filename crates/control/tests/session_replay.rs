//! A node fetches what it lacks with a token that is good once; what was replayed and what was done is counted.

mod common;

use std::time::Duration;

use common::{app, node, start_with_sessions};
use foreshift_store::{Batch, Caller, Change, If, Value};
use foreshift_wire::{PartitionPattern, SessionId, entries};

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
    assert_eq!(stats["splits"], serde_json::json!([]), "that is off");
}

#[test]
fn partitions_that_are_replayed_in_parts_are_shown_with_the_reason() {
    let (running, sessions) = start_with_sessions("split = true");
    let (own, game, pool) = (Caller::own(), "game".parse().unwrap(), app());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let splits = || running.get("/v1/sessions/stats").ok()["splits"].clone();
    for n in 0..100_u32 {
        let (id, part) = (SessionId(n.into()), ["a b", "map"][n as usize % 2]);
        sessions.serving(&app(), id, &node("a"));
        let change = Change {
            key: format!("{part}/1").into(),
            condition: If::Any,
            value: Some(Value::bytes("x".repeat(600))),
        };
        let batch = Batch {
            changes: vec![change],
            ..Batch::default()
        };
        runtime.block_on(sessions.write(&own, id, &game, batch)).unwrap();
        let (to, required) = (node("b"), [PartitionPattern::all()]);
        let missing = sessions.missing(&pool, id, &to, &required);
        assert_eq!(runtime.block_on(missing).unwrap().len(), 1);
        if n == 3 {
            let first = &splits()[0];
            assert_eq!(first["decision"]["code"], "too_few", "{first}");
        }
    }
    let split = &splits()[0];
    assert_eq!(
        (&split["pool"], &split["partition"]),
        (&"app".into(), &"game".into())
    );
    let decision = &split["decision"];
    assert_eq!(decision["code"], "split", "{split}");
    assert_eq!(decision["groups"], serde_json::json!([["a%20b"], ["map"]]));
    assert_eq!(
        (&decision["closest"][0], &decision["share"]),
        (&"a%20b".into(), &0.0.into())
    );
    assert_eq!(split["reigns"], 100);
}
