//! Reloads and restarts under a constant load fail no request.
//!
//! As a test it is short. `cargo xtask bench reload` has it reload every second until as many requests were answered as
//! docs/benchmarks.md records.

// It prints what it measured.
#![allow(clippy::print_stdout)]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{
    foreshift::Foreshift,
    load::{Load, PlainNode},
    until,
};
use serde_json::Value;

/// How many requests must be answered at least, where it is not the test's few thousand.
const REQUESTS: &str = "FORESHIFT_BENCH_REQUESTS";
/// Clients at once.
const CLIENTS: usize = 16;
/// A restart in place of every so many reloads.
const RESTART_EVERY: u32 = 10;

#[test]
fn no_request_fails_while_it_reloads_again_and_again_and_restarts() {
    let asked: Option<u64> = std::env::var(REQUESTS)
        .ok()
        .map(|n| n.parse().expect("a number of requests"));
    let (requests, pause) = match asked {
        Some(requests) => (requests, Duration::from_secs(1)),
        None => (3_000, Duration::from_millis(100)),
    };
    let nodes = [
        PlainNode::start("a"),
        PlainNode::start("b"),
        PlainNode::start("c"),
    ];
    let config = |round: u32| {
        // Each round another node is away, and a limit and a weight are others.
        let mut text = format!(
            "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n\
             [ingress]\nworkers = 2\n[ingress.limits]\nheaders = {}\n\
             [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
             affinity = [{{ header = \"x-user\" }}]\n\
             [[pool]]\nname = \"app\"\nmode = \"act\"\ncheck_interval = \"100ms\"\n",
            50 + round % 50
        );
        for (n, node) in (0..).zip(&nodes) {
            if n != round % 3 {
                let weight = 1 + (round + n) % 2;
                let id = ["a", "b", "c"][n as usize];
                text += &format!(
                    "[[pool.node]]\nid = \"{id}\"\naddress = \"{}\"\nweight = {weight}\n",
                    node.address
                );
            }
        }
        text
    };
    let mut foreshift = Foreshift::with_config(&config(0));
    let load = Load::start(foreshift.web, CLIENTS);
    let (began, mut reloads, mut restarts) = (Instant::now(), 0, 0);
    while load.answered() < requests || restarts < 2 {
        // The pace of the reloads, not a wait for anything.
        thread::sleep(pause);
        foreshift.rewrite(&config(reloads + restarts + 1));
        if (reloads + restarts) % RESTART_EVERY == RESTART_EVERY - 1 {
            foreshift.is_replaced();
            until("the new process serves the API", || {
                foreshift.api.is_ok("/readyz").then_some(())
            });
            restarts += 1;
        } else {
            let (status, answer) = foreshift.api.post("/v1/reload", &Value::Null);
            assert_eq!(status, 200, "{answer}");
            assert!(!answer["changes"].as_array().unwrap().is_empty(), "{answer}");
            reloads += 1;
        }
    }
    let took = began.elapsed();
    let answered = load.ends_without_a_failure();
    println!(
        "{answered} requests in {:.0} s, {CLIENTS} clients: {reloads} reloads, {restarts} restarts, 0 failed",
        took.as_secs_f64()
    );
}
