//! curl and nghttp speak HTTP/2 in the clear, with prior knowledge, to nodes that speak HTTP/1.1.

mod common;

use std::collections::BTreeSet;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl_json, nghttp},
};

const HTTP2: &str = "--http2-prior-knowledge";

#[test]
fn requests_of_one_connection_go_each_to_the_node_of_its_key() {
    let (a, b) = (Node::http("a"), Node::http("b"));
    let foreshift = Foreshift::start(&[&a, &b], "");
    let urls: Vec<_> = (0..12)
        .map(|user| foreshift.url(&format!("/?user={user}")))
        .collect();
    let answers = nghttp(&urls);
    assert_eq!(answers.len(), urls.len());
    for answer in &answers {
        let url = foreshift.url(answer["path"].as_str().unwrap());
        assert_eq!(
            answer["node"],
            curl_json(&[&url])["node"],
            "{url} over HTTP/2 and HTTP/1.1"
        );
        assert_eq!(curl_json(&[HTTP2, &url])["node"], answer["node"], "{url} by curl");
    }
    let nodes: BTreeSet<_> = answers.iter().map(|answer| answer["node"].as_str()).collect();
    assert_eq!(nodes.len(), 2, "12 keys live on one node");
}

#[test]
fn a_body_is_uploaded() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    let file = foreshift.folder().join("body");
    std::fs::write(&file, vec![b'y'; 2 << 20]).unwrap();
    let body = format!("@{}", file.display());
    let direct = curl_json(&["--data-binary", &body, &format!("http://{}/", a.address)]);
    let answer = curl_json(&[HTTP2, "--data-binary", &body, &foreshift.url("/upload")]);
    assert_eq!(answer["body_sha256"], direct["body_sha256"]);
}
