//! A page in a real browser keeps its WebSocket while it moves to another node.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, browser},
};

#[test]
fn a_page_in_chromium_notices_nothing() {
    let (mut a, mut b) = (Node::websocket("a"), Node::websocket("b"));
    let foreshift = Foreshift::start(&[&a, &b], "");
    let _browser = browser(&foreshift.url("/page"), &foreshift.folder().join("profile"));
    let open = foreshift.api.the_websocket();
    let (target, other) = if open["node"] == "a" {
        ("b", "a")
    } else {
        ("a", "b")
    };
    foreshift.api.migrate(&open, target);
    let new_node = if target == "a" { &mut a } else { &mut b };
    let report = new_node.process.event("report")["report"].clone();
    assert_eq!(report["nodes"], serde_json::json!([other, target]), "{report}");
    assert_eq!(report["wrong"], serde_json::json!([]), "{report}");
}
