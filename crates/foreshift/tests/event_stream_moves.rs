//! A stream of server-sent events goes on at another node behind the last event that the client got.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl_stream},
    until,
};

/// The node and the number of an event's `data` line.
fn event(line: &str) -> Option<(String, u64)> {
    let (node, number) = line.strip_prefix("data: ")?.split_once(' ')?;
    Some((node.to_owned(), number.parse().ok()?))
}

#[test]
fn no_event_is_lost_or_repeated() {
    let (a, b) = (Node::http("a"), Node::http("b"));
    let foreshift = Foreshift::start(&[&a, &b], "");
    let mut client = curl_stream(
        &foreshift.url("/events"),
        &["X-User: u1", "Accept: text/event-stream"],
    );
    let (first, mut last) = client.line("an event", event);
    let target = if first == "a" { "b" } else { "a" };
    let open = until("the stream is listed", || {
        let (_, connections) = foreshift.api.get("/v1/connections");
        connections
            .as_array()?
            .iter()
            .find(|open| open["kind"] == "event_stream")
            .cloned()
    });
    foreshift.api.migrate(&open, target);
    let mut after_the_move = 0;
    while after_the_move < 20 {
        let (node, number) = client.line("an event", event);
        assert_eq!(number, last + 1, "from node {node}");
        last = number;
        after_the_move += u32::from(node == target);
    }
}
