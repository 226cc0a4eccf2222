//! A session's state over HTTP: whole partitions, single keys, batches that are done as one, and what changed since.

mod common;

use common::{Running, start_with_sessions};
use serde_json::{Value, json};

/// A new session's path.
fn session(running: &Running) -> String {
    let made = running.send("POST", "/v1/sessions", None, &[]);
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").to_owned();
    assert_eq!(
        path,
        format!("/v1/sessions/{}", made.json()["id"].as_str().unwrap())
    );
    path
}

fn keys(partition: &Value) -> Vec<(&str, &str)> {
    let entries = partition["entries"].as_array().unwrap();
    let pair = |entry: &'_ Value| {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let value = text("value").or(text("value_base64")).unwrap_or("-");
        // The document outlives the pair.
        (text("key").unwrap().to_owned(), value.to_owned())
    };
    entries
        .iter()
        .map(pair)
        .map(|(a, b)| (&*a.leak(), &*b.leak()))
        .collect()
}

#[test]
fn a_partition_is_read_as_it_was_set_as_a_whole_and_by_key() {
    let (running, _) = start_with_sessions("");
    let session = session(&running);
    let partitions = format!("{session}/partitions");
    assert_eq!(running.get(&partitions).ok(), json!([]));
    let game = format!("{partitions}/game%2Finventory");
    let body = json!({"entries": [
        {"key": "sword/1", "value": "sharp", "content_type": "text/plain"},
        {"key": "a%FF", "value_base64": "/w=="},
    ]});
    let written = running.put(&game, &body.to_string());
    assert_eq!(written.ok()["added"], 2);
    let read = running.get(&game);
    assert_eq!(read.header("etag"), written.header("etag"));
    assert_eq!(read.header("vary"), "accept");
    let data = read.ok();
    assert_eq!(data["name"], "game/inventory");
    assert_eq!(keys(&data), [("a%FF", "/w=="), ("sword/1", "sharp")]);
    let sword = running.get(&format!("{game}/sword/1"));
    assert_eq!(
        (sword.status, &*sword.text, &*sword.content_type),
        (200, "sharp", "text/plain")
    );
    assert_eq!(sword.header("etag"), written.header("etag"));
    let list = running.get(&partitions).ok();
    assert_eq!(
        (&list[0]["name"], &list[0]["keys"]),
        (&json!("game/inventory"), &json!(2))
    );

    // What is not named goes.
    let other = json!({"entries": [{"key": "shield", "value": "round"}]});
    let written = running.put(&game, &other.to_string()).ok();
    assert_eq!((&written["added"], &written["removed"]), (&json!(1), &json!(2)));
    assert_eq!(keys(&running.get(&game).ok()), [("shield", "round")]);
    assert_eq!(running.delete(&game).status, 204);
    running.get(&game).problem(404);
    running.delete(&game).problem(404);
    assert_eq!(running.get(&partitions).ok(), json!([]));
}

#[test]
fn one_key_is_set_and_removed_with_its_media_type_whatever_it_is_called() {
    let (running, _) = start_with_sessions("");
    let cart = format!("{}/partitions/cart", session(&running));
    for key in ["item/1", "expire", "a//b/", "%00%FF", "%2E%2E", "entries"] {
        let path = format!("{cart}/{key}");
        let set = |text| {
            running.send(
                "PUT",
                &path,
                Some(text),
                &[("content-type", "application/x-test")],
            )
        };
        assert_eq!(set("1").status, 201, "{key}");
        let again = set("22");
        assert_eq!(again.status, 204, "{key}");
        let read = running.get(&path);
        assert_eq!(
            (&*read.text, &*read.content_type),
            ("22", "application/x-test"),
            "{key}"
        );
        assert_eq!(read.header("etag"), again.header("etag"));
        assert_eq!(read.header("x-content-type-options"), "nosniff");
        assert_eq!(running.delete(&path).status, 204, "{key}");
        running.get(&path).problem(404);
        running.delete(&path).problem(404);
    }
}

#[test]
fn a_batch_is_done_as_one_or_not_at_all() {
    let (running, _) = start_with_sessions("");
    let cart = format!("{}/partitions/cart", session(&running));
    let patch = |body: Value| {
        running.send(
            "PATCH",
            &cart,
            Some(&body.to_string()),
            &[("content-type", "application/json")],
        )
    };
    let first = patch(json!({"entries": [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}]})).ok();
    let before = running.get(&cart).ok();
    for (what, wrong) in [
        ("is there", json!({"key": "b", "value": "2", "if_present": false})),
        (
            "is not there",
            json!({"key": "c", "value": "2", "if_present": true}),
        ),
        (
            "has another version",
            json!({"key": "b", "value": "2", "if_version": 1}),
        ),
    ] {
        let refused = patch(json!({"entries": [{"key": "a", "value": "2"}, wrong]}));
        refused.problem(412);
        assert_eq!(running.get(&cart).ok(), before, "{what}");
    }
    let refused = patch(json!({"entries": [{"key": "b", "remove": true, "if_version": 1}]}));
    assert_eq!(
        (&refused.json()["key"], &refused.json()["version"]),
        (&json!("b"), &first["version"])
    );
    let done = patch(json!({"entries": [
        {"key": "a", "value": "2", "if_version": first["version"]},
        {"key": "b", "remove": true, "if_present": true},
        {"key": "c", "value": "3", "if_present": false},
    ]}));
    assert_eq!(
        (&done.ok()["added"], &done.ok()["removed"]),
        (&json!(1), &json!(1))
    );
    let read = running.get(&cart).ok();
    assert_eq!(keys(&read), [("a", "2"), ("c", "3")]);
    assert_eq!(read["version"], done.ok()["version"]);

    let since = format!("{cart}?since={}", first["version"]);
    let delta = running.get(&since).ok();
    assert_eq!(delta["since"], first["version"]);
    assert_eq!(keys(&delta), [("a", "2"), ("b", "-"), ("c", "3")]);
    assert_eq!(delta["entries"][1]["removed"], true);
    let entries = [("accept", "application/vnd.foreshift.entries")];
    let read = running.send("GET", &since, None, &entries);
    assert_eq!(read.content_type, "application/vnd.foreshift.entries");
    let items = foreshift_wire::entries::decode(read.text.into_bytes().into(), 100).unwrap();
    assert_eq!(items.len(), 4, "{items:?}");
}

#[test]
fn a_partition_that_expires_is_not_there_any_more() {
    let (running, _) = start_with_sessions("");
    let cart = format!("{}/partitions/cart", session(&running));
    let expire = format!("{cart}/expire");
    running.post(&expire, "{\"after_ms\":1000}").problem(404);
    running.put(&format!("{cart}/a"), "1");
    running.post(&expire, "{\"after_ms\":3600000}").ok();
    assert!(running.get(&cart).ok()["expires_ms"].as_u64().is_some());
    running.post(&expire, "{}").ok();
    assert_eq!(running.get(&cart).ok()["expires_ms"], Value::Null);
    running.post(&expire, "{\"after_ms\":0}").ok();
    running.get(&cart).problem(404);
    running.get(&format!("{cart}/a")).problem(404);
}
