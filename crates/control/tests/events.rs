//! Events are told while they happen.

mod common;

use common::{TWO_NODES, config, start};
use serde_json::Value;

#[test]
fn a_reader_sees_ticks_and_changes_of_nodes_as_they_happen() {
    let running = start(&config(TWO_NODES));
    let mut lines = running.stream("/v1/events?pool=app");
    let mut next = |wanted: &str| -> Value {
        loop {
            let line = lines.next().expect("the stream goes on");
            if line == format!("event: {wanted}") {
                let data = lines.next().expect("an event has data");
                return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    };
    let tick = next("tick");
    assert_eq!(tick["nodes"].as_array().unwrap().len(), 2);
    running
        .put("/v1/pools/app/nodes/b/state", "{\"state\":\"draining\"}")
        .ok();
    let change = next("node");
    assert_eq!(
        (&change["node"], &change["state"]),
        (&"b".into(), &"draining".into())
    );
}

#[test]
fn the_stream_ends_when_control_does() {
    let running = start(&config(TWO_NODES));
    let mut lines = running.stream("/v1/events");
    assert!(lines.next().is_some());
    running.stop();
    lines.by_ref().for_each(drop);
}

#[test]
fn too_many_readers_are_refused() {
    let running = start(&config(TWO_NODES));
    let open: Vec<_> = (0..64).map(|_| running.stream("/v1/events")).collect();
    let detail = running.get("/v1/events").problem(503);
    assert!(detail.contains("64 readers"), "{detail}");
    drop(open);
}
