//! The example in Python: a shop's counter and cart follow its visitor over the Redis view and over HTTP.

mod common;

use common::{
    foreshift::{Foreshift, config, free_address},
    peers::{Node, curl, curl_json},
    until,
};
use serde_json::{Value, json};

const VISITOR: [&str; 2] = ["-H", "X-User: ann"];
const POOL: &str = "mode = \"act\"\nreplay_path = \"/foreshift/replay\"\n\
    health = { path = \"/health\", interval = \"1s\", timeout = \"1s\", rise = 1, fall = 2 }";

/// The shop and its visitor.
struct Visited {
    foreshift: Foreshift,
    /// So often the visitor was there.
    visits: u64,
    apples: Option<u64>,
}

impl Visited {
    fn new(nodes: [&Node; 2], key: &str, state: &str) -> Self {
        let free = ([127, 0, 0, 1], 0).into();
        let required = "[[pool.node]]\nrequired_partitions = [\"cart\"]";
        let text = config(free, free, &nodes, POOL).replace("[[pool.node]]", required);
        Self {
            foreshift: Foreshift::with_config(&format!("{text}\n[session]\n{key} = \"{state}\"\n")),
            visits: 0,
            apples: None,
        }
    }

    /// Checks what a visit showed; which node did.
    #[track_caller]
    fn showed(&mut self, shown: &Value) -> String {
        self.visits += 1;
        let cart = self
            .apples
            .map_or(json!({}), |apples| json!({ "apples": apples }));
        assert_eq!((&shown["visits"], &shown["cart"]), (&json!(self.visits), &cart));
        shown["node"].as_str().expect("it says who it is").to_owned()
    }

    /// Moves the visitor, and visits until the node is the one that answers.
    fn moves_to(&mut self, node: &str) {
        until("the visitor can be moved", || {
            let pinned = self
                .foreshift
                .api
                .put("/v1/pools/app/affinity/ann", &json!({ "node": node }));
            // Not before the node is known to be ready.
            (200..300).contains(&pinned.0).then_some(())
        });
        until("the visitor is at the other node", || {
            let url = self.foreshift.url("/");
            let shown = curl_json(&[&VISITOR[..], &[&url]].concat());
            (self.showed(&shown) == node).then_some(())
        });
    }

    fn buys(&mut self, apples: u64) {
        let (url, count) = (self.foreshift.url("/cart/apples"), apples.to_string());
        let (status, body) = curl(&[&VISITOR[..], &["-X", "PUT", "-d", &count, &url]].concat());
        assert_eq!(status, 200, "{body}");
        self.apples = Some(apples);
    }

    /// The node that answers, once one does.
    fn is_answered(&mut self) -> String {
        let url = self.foreshift.url("/");
        let body = until("a node serves the visitor", || {
            let (status, body) = curl(&[&VISITOR[..], &[&url]].concat());
            (status == 200).then_some(body)
        });
        self.showed(&serde_json::from_str(&body).expect("JSON"))
    }
}

fn a_visitor_keeps_counter_and_cart(scheme: &str, key: &str) {
    let state = free_address();
    let url = format!("{scheme}://{state}");
    let (a, mut b) = (Node::shop("a", &url), Node::shop("b", &url));
    let mut visited = Visited::new([&a, &b], key, &state.to_string());
    visited.moves_to("a");
    visited.buys(3);
    visited.moves_to("b");
    visited.buys(4);
    b.process.kill();
    assert_eq!(visited.is_answered(), "a");
    visited.buys(5);
    assert_eq!(visited.is_answered(), "a");
}

#[test]
fn over_the_redis_view_a_visitor_keeps_all_through_a_move_and_a_killed_node() {
    a_visitor_keeps_counter_and_cart("redis", "redis_view");
}

#[test]
fn over_http_a_visitor_keeps_all_through_a_move_and_a_killed_node() {
    a_visitor_keeps_counter_and_cart("http", "address");
}
