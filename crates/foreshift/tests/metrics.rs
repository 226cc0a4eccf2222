//! Prometheus' scrape: curl gets what the requests before it left.

mod common;

use common::{
    foreshift::Foreshift,
    peers::{Node, curl, curl_json},
    until,
};

#[test]
fn a_scrape_counts_the_requests_of_each_node() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    for _ in 0..7 {
        curl_json(&[&foreshift.url("/")]);
    }
    let url = foreshift.api.url("/metrics");
    until("seven requests on node a", || {
        let (status, text) = curl(&[&url]);
        assert_eq!(status, 200, "{text}");
        let of_node_a =
            |line: &&str| line.starts_with("foreshift_requests_total{") && line.contains("node=\"a\"");
        text.lines().find(of_node_a)?.ends_with(" 7").then_some(())
    });
}

#[test]
fn every_sample_has_a_type_and_a_help() {
    let a = Node::http("a");
    let foreshift = Foreshift::start(&[&a], "");
    let (_, text) = curl(&[&foreshift.api.url("/metrics")]);
    for sample in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = sample.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        let known = |what: &str| {
            let has = |name: &str| text.contains(&format!("# {what} {name} "));
            has(name) || family.is_some_and(has)
        };
        assert!(known("TYPE") && known("HELP"), "{sample}");
    }
}
