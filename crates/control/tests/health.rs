//! Nodes are checked, and go down and come back.

mod common;

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use common::{Running, app, config, node, start};
use foreshift_wire::IngressEvent;

/// A node that answers every request with the status that is set.
fn healthy_node() -> (String, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let status = Arc::new(AtomicU16::new(200));
    let shown = status.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 2_048]);
            let status = shown.load(Ordering::SeqCst);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    });
    (address, status)
}

fn state(running: &Running) -> (String, String) {
    let node = &running.get("/v1/pools/app/nodes").ok()[0];
    let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    (text("observed_state"), text("state_reason"))
}

fn until_state(running: &Running, wanted: &str) -> String {
    running.until(wanted, |running| {
        let (state, reason) = state(running);
        (state == wanted).then_some(reason)
    })
}

#[test]
fn a_node_is_ready_once_its_checks_pass_and_down_once_they_fail() {
    let (address, status) = healthy_node();
    let running = start(&config(&format!(
        "health = {{ path = \"/healthz\", interval = \"1s\", timeout = \"1s\", rise = 2, fall = 2 }}\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{address}\"\n"
    )));
    running.get("/readyz").problem(503);
    until_state(&running, "ready");
    assert_eq!(running.get("/readyz").status, 200);

    status.store(500, Ordering::SeqCst);
    let reason = until_state(&running, "down");
    assert!(reason.contains("500"), "{reason}");
    let detail = running.get("/readyz").problem(503);
    assert!(detail.contains("none of its 1 nodes is ready"), "{detail}");

    status.store(200, Ordering::SeqCst);
    until_state(&running, "ready");
}

#[test]
fn a_node_that_the_ingress_suspects_is_checked_at_once() {
    let (address, status) = healthy_node();
    // Without a suspicion the next check would be an hour away.
    let running = start(&config(&format!(
        "health = {{ path = \"/healthz\", interval = \"1h\", timeout = \"5s\", rise = 1, fall = 1 }}\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{address}\"\n"
    )));
    let suspect = || {
        let detail = "connection refused".to_owned();
        running
            .ingress
            .send(IngressEvent::NodeSuspect {
                pool: app(),
                node: node("a"),
                detail,
            })
            .unwrap();
    };
    suspect();
    until_state(&running, "ready");
    status.store(503, Ordering::SeqCst);
    suspect();
    until_state(&running, "down");
}

#[test]
fn checks_never_override_the_operators_wish() {
    let (address, _status) = healthy_node();
    let running = start(&config(&format!(
        "health = {{ interval = \"1s\", timeout = \"1s\", rise = 1, fall = 1 }}\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{address}\"\n"
    )));
    until_state(&running, "ready");
    for wish in ["draining", "down"] {
        running
            .put(
                "/v1/pools/app/nodes/a/state",
                &format!("{{\"state\":\"{wish}\"}}"),
            )
            .ok();
        running.next_tick();
        assert_eq!(state(&running).0, wish);
    }
    let back = running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"ready\"}")
        .ok();
    assert_eq!(back["observed_state"], "joining");
    until_state(&running, "ready");
}
