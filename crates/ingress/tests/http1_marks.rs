//! What marks a request on its way: its id, its trace, and the chain of who forwarded it.

mod common;

use common::{
    Cluster,
    raw::{Message, Raw, Recorder},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the node was told, and what the client was answered.
async fn exchange(listener: &str, rest: &str, fields: &str) -> (Message, Message) {
    let node = Recorder::start().await;
    let cluster = Cluster::listening(listener, &[node.address], "", rest).await;
    let mut client = Raw::connect(cluster.address()).await;
    client
        .send(format!("GET / HTTP/1.1\r\nHost: shop.example:81\r\n{fields}\r\n"))
        .await;
    let answer = client.answer(false).await;
    (node.heads().remove(0), answer)
}

#[tokio::test]
async fn an_id_reaches_the_node_and_comes_back_to_the_client() {
    let listener = "request_id = \"X-Request-Id\"";
    for (fields, kept) in [
        ("", None),
        ("x-request-id: of-the-client.1\r\n", Some("of-the-client.1")),
        ("x-request-id: not an id\r\n", None),
    ] {
        let (told, answer) = exchange(listener, "", fields).await;
        let id = told.field("X-Request-Id").expect("an id for the node");
        assert_eq!(answer.field("x-request-id"), Some(id.clone()), "{fields}");
        match kept {
            Some(kept) => assert_eq!(id, kept),
            None => assert!(id.len() == 32 && u128::from_str_radix(&id, 16).is_ok(), "{id}"),
        }
    }
}

#[tokio::test]
async fn a_trace_goes_on_through_a_span_of_the_ingress() {
    let traces = "[ingress.traces]\nsample = 0.0";
    let context = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ntracestate: a=1\r\n");
    let (told, _) = exchange("", traces, &context).await;
    let parts = told.field("traceparent").expect("the trace goes on");
    let parts: Vec<&str> = parts.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE, "01"));
    assert_ne!(parts[2], "00f067aa0ba902b7");
    assert_eq!(told.field("tracestate").as_deref(), Some("a=1"));

    let (told, _) = exchange("", traces, "traceparent: 00-1-2-3\r\ntracestate: a=1\r\n").await;
    let begun = told.field("traceparent").expect("a trace begins");
    assert!(begun.len() == 55 && begun.ends_with("-00"), "{begun}");
    assert_eq!(told.field("tracestate"), None);

    let (told, _) = exchange("", "", &context).await;
    let passed = format!("00-{TRACE}-00f067aa0ba902b7-01");
    assert_eq!(
        told.field("traceparent"),
        Some(passed),
        "untouched where traces are off"
    );
}

#[tokio::test]
async fn forwarded_has_our_element_last_or_is_not_there() {
    let (told, _) = exchange("forwarded = true", "", "Forwarded: for=198.51.100.9\r\n").await;
    let chain = "for=198.51.100.9, for=127.0.0.1;host=\"shop.example:81\";proto=http";
    assert_eq!(told.field("forwarded").as_deref(), Some(chain));
    let (told, _) = exchange("", "", "Forwarded: for=198.51.100.9\r\n").await;
    assert_eq!(
        told.field("forwarded"),
        None,
        "nothing that a client could have made up"
    );
}
