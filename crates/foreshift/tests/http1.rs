//! curl speaks HTTP/1.1 through the ingress to nodes that know nothing of it.

mod common;

use std::collections::BTreeSet;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl_json, curl_printed},
};
use serde_json::Value;

/// The values of a request header as the node saw it.
fn seen<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = answer["headers"].as_array().into_iter().flatten();
    let named = headers.filter(|header| header[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
    named.filter_map(|header| header[1].as_str()).collect()
}

#[test]
fn a_key_stays_on_its_node_and_keys_spread() {
    let (a, b) = (Node::http("a"), Node::http("b"));
    let foreshift = Foreshift::start(&[&a, &b], "");
    let node_of = |user: usize| {
        let answer = curl_json(&["-H", &format!("X-User: u{user}"), &foreshift.url("/")]);
        answer["node"].as_str().expect("a node names itself").to_owned()
    };
    let first: Vec<_> = (0..24).map(node_of).collect();
    let again: Vec<_> = (0..24).map(node_of).collect();
    assert_eq!(first, again);
    assert_eq!(
        first.iter().collect::<BTreeSet<_>>().len(),
        2,
        "24 keys live on one node: {first:?}"
    );
}

#[test]
fn a_body_arrives_as_it_was_sent() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    let file = foreshift.folder().join("body");
    std::fs::write(
        &file,
        (0..3_u32 << 20).map(|at| (at % 251) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    let body = format!("@{}", file.display());
    let direct = curl_json(&["--data-binary", &body, &format!("http://{}/", a.address)]);
    for framing in ["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let answer = curl_json(&[
            "-H",
            framing,
            "--data-binary",
            &body,
            &foreshift.url("/upload?a=b%20c"),
        ]);
        assert_eq!(answer["method"], "POST", "{framing}");
        assert_eq!(answer["path"], "/upload?a=b%20c", "{framing}");
        assert_eq!(answer["body_sha256"], direct["body_sha256"], "{framing}");
    }
}

#[test]
fn a_node_learns_who_asks_and_a_client_cannot_pretend() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    let arguments = [
        "-H",
        "X-User: u1",
        "-H",
        "Foreshift-Session: 00000000000000000000000000000000",
        "-H",
        "foreshift-resume: yes",
        "-H",
        "Foreshift-Anything: x",
    ];
    let url = foreshift.url("/");
    let answer = curl_json(&[&arguments[..], &[&url]].concat());
    let session = seen(&answer, "foreshift-session");
    assert_eq!(session.len(), 1, "{answer}");
    assert_eq!(session[0].len(), 32, "{answer}");
    assert_ne!(session[0], "00000000000000000000000000000000");
    assert_eq!(seen(&answer, "foreshift-connection").len(), 1, "{answer}");
    assert!(seen(&answer, "foreshift-resume").is_empty(), "{answer}");
    assert!(seen(&answer, "foreshift-anything").is_empty(), "{answer}");
    assert_eq!(seen(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(seen(&answer, "x-forwarded-host"), [foreshift.web.to_string()]);
}

#[test]
fn a_client_connection_is_kept_between_requests() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    let url = foreshift.url("/");
    let connects = curl_printed(&["-o/dev/null", "-o/dev/null", "-w", "%{num_connects} ", &url, &url]);
    assert_eq!(connects, "1 0 ");
}
