//! Python's `websockets` on both sides: the ingress is not noticed.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, websocket_client},
};

#[test]
fn messages_of_every_kind_come_back() {
    let mut a = Node::websocket("a");
    let foreshift = Foreshift::start(&[&a], "");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    client.event("node");
    client.event("many");
    client.tell("stop");
    let end = client.event("end");
    assert!(client.ended().success());
    assert_eq!(end["code"], 1000, "{end}");
    assert_eq!(end["nodes"], serde_json::json!(["a"]));
    assert_eq!(a.process.event("close")["code"], 1000);
    let session = end["headers"]["Foreshift-Session"]
        .as_str()
        .or(end["headers"]["foreshift-session"].as_str());
    assert_eq!(session.map(str::len), Some(32), "{end}");
}

#[test]
fn a_close_from_the_node_keeps_its_code() {
    let a = Node::websocket("a");
    let foreshift = Foreshift::start(&[&a], "");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    client.event("node");
    client.tell("close 4001");
    let end = client.event("end");
    assert_eq!(
        (&end["code"], &end["reason"]),
        (&4001.into(), &"as asked".into()),
        "{end}"
    );
}
