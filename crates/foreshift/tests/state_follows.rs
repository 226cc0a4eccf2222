//! The hand-over hook: what a node knows of a session goes with it.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl_json},
    until,
};
use serde_json::json;

const HOOK: &str = "mode = \"act\"\nhandoff_path = \"/handoff\"\nresume_path = \"/resume\"";

#[test]
fn a_key_without_an_open_connection_takes_its_state_along_before_its_next_request() {
    let (a, b) = (Node::http("a"), Node::http("b"));
    let foreshift = Foreshift::start(&[&a, &b], HOOK);
    let count = || curl_json(&["-H", "X-User: u1", &foreshift.url("/count")]);
    let first = count();
    assert_eq!(count()["count"], 2);
    let (from, to) = if first["node"] == "a" {
        ("a", "b")
    } else {
        ("b", "a")
    };
    let (status, body) = foreshift
        .api
        .put("/v1/pools/app/affinity/u1", &json!({ "node": to }));
    assert!((200..300).contains(&status), "{status} {body}");
    // The API answers when the pin is written; the ingress sees it a moment later.
    let mut expected = 2;
    let after = until("the key is on its new node", || {
        expected += 1;
        let answer = count();
        assert_eq!(answer["count"], expected, "from {from}: {answer}");
        (answer["node"] == to).then_some(answer)
    });
    assert_eq!(after["count"], expected);
}
