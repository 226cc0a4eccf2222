//! Nodes leave, die, and the program ends, without a client losing its connection unawares.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, websocket_client},
};
use serde_json::json;

#[test]
fn a_draining_node_hands_its_websockets_over() {
    let (a, b) = (Node::websocket("a"), Node::websocket("b"));
    let foreshift = Foreshift::start(&[&a, &b], "mode = \"act\"");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    let first = client.event("node")["node"].clone();
    let path = format!("/v1/pools/app/nodes/{}/state", first.as_str().unwrap());
    let (status, body) = foreshift.api.put(&path, &json!({"state": "draining"}));
    assert!((200..300).contains(&status), "{status} {body}");
    assert_ne!(client.event("node")["node"], first);
    client.tell("stop");
    assert_eq!(client.event("end")["code"], 1000);
}

#[test]
fn the_websockets_of_a_node_that_dies_are_closed_with_1012() {
    let mut a = Node::websocket("a");
    let foreshift = Foreshift::start(&[&a], "failover = \"close\"");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    client.event("node");
    a.process.kill();
    assert_eq!(client.event("closed")["code"], 1012);
}

#[test]
fn a_websocket_goes_on_with_another_node_where_the_pool_says_so() {
    let (mut a, mut b) = (Node::websocket("a"), Node::websocket("b"));
    let foreshift = Foreshift::start(&[&a, &b], "failover = \"resume\"");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1", "--lossy"]);
    let first = client.event("node")["node"].clone();
    let (dying, other) = if first == "a" {
        (&mut a, &mut b)
    } else {
        (&mut b, &mut a)
    };
    dying.process.kill();
    let headers = other.process.event("open")["headers"].clone();
    let name = headers
        .as_object()
        .unwrap()
        .keys()
        .find(|name| name.eq_ignore_ascii_case("foreshift-failover"));
    assert_eq!(name.map(|name| &headers[name]), Some(&first), "{headers}");
    assert_ne!(client.event("node")["node"], first);
}

#[test]
fn the_program_ends_when_it_is_asked_to() {
    let a = Node::websocket("a");
    let mut foreshift = Foreshift::start(&[&a], "");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    client.event("many");
    foreshift.process.terminate();
    let code = client.event("closed")["code"].clone();
    assert!([1001, 1012].contains(&code.as_i64().unwrap()), "{code}");
    assert!(
        foreshift.process.ended().success(),
        "{}",
        foreshift.process.printed()
    );
}
