//! An open WebSocket of Python's `websockets` moves to another node, with messages under way all the time.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, websocket_client},
    until,
};
use serde_json::json;

#[test]
fn an_open_websocket_moves_there_and_back_and_loses_nothing() {
    let (a, b) = (Node::websocket("a"), Node::websocket("b"));
    let foreshift = Foreshift::start(&[&a, &b], "");
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    let first = client.event("node")["node"].clone();
    let (here, there) = if first == "a" { ("a", "b") } else { ("b", "a") };
    for target in [there, here, there] {
        foreshift.api.migrate(&foreshift.api.the_websocket(), target);
        assert_eq!(client.event("node")["node"], target);
        until("the move is done", || {
            (foreshift.api.the_websocket()["moving"] == false).then_some(())
        });
    }
    client.event("many");
    client.tell("stop");
    let end = client.event("end");
    assert!(client.ended().success(), "{end}");
    assert_eq!(end["nodes"], json!([here, there, here, there]));
    assert_eq!(end["code"], 1000, "{end}");
}
