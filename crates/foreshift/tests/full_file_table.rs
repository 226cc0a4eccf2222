//! A full table of open files refuses some clients for a while and nothing more.

mod common;

use std::net::TcpStream;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl_json, websocket_client},
};

#[test]
fn those_who_are_in_are_served_and_others_again_when_there_is_room() {
    let a = Node::websocket("a");
    let foreshift = Foreshift::start_with_files(&[&a], "", Some(96));
    let mut client = websocket_client(&format!("ws://{}/ws", foreshift.web), &["X-User: u1"]);
    client.event("node");
    // The kernel completes these, whether the program accepts them or not.
    let crowd: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(foreshift.web).unwrap())
        .collect();
    client.tell("stop"); // it exchanges some more messages before it ends
    assert_eq!(client.event("end")["code"], 1000);
    drop(crowd);
    assert_eq!(curl_json(&[&foreshift.url("/"), "-H", "X-User: u2"])["node"], "a");
}
