//! A session that is revoked loses its WebSocket at once, and is not let in again.

mod common;

use common::{
    foreshift::{Foreshift, config, free_address},
    peers::{Node, curl, websocket_client},
};
use serde_json::json;

#[test]
fn a_revoked_session_loses_its_websocket_and_its_state_and_is_not_let_in_again() {
    let a = Node::websocket("a");
    let text = config(free_address(), free_address(), &[&a], "")
        + "[session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\n";
    let foreshift = Foreshift::with_config(&text);
    let url = format!("ws://{}/ws", foreshift.web);
    let mut client = websocket_client(&url, &["X-User: u1"]);
    let mut other = websocket_client(&url, &["X-User: u2"]);
    client.event("many");
    other.event("many");
    let (_, open) = foreshift.api.get("/v1/connections?key=u1");
    let session = format!("/v1/sessions/{}", open[0]["session"].as_str().unwrap());
    let key = format!("{session}/partitions/cart/k");
    let (status, body) = foreshift.api.put(&key, &json!("v"));
    assert_eq!(status, 201, "{body}");

    let (status, _) = foreshift.api.post(&format!("{session}/revoke"), &json!(null));
    assert_eq!(status, 204);
    assert_eq!(client.event("closed")["code"], 1008);
    assert_eq!(foreshift.api.get(&key).0, 410);
    let (status, _) = curl(&["-H", "X-User: u1", &foreshift.url("/")]);
    assert_eq!(status, 403);
    // Nobody else lost anything.
    other.tell("stop");
    assert_eq!(other.event("end")["code"], 1000);
}
