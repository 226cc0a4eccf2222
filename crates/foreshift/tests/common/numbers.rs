//! A client of the TypeScript library that is told to move again and again, while both sides say numbers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{foreshift::Foreshift, peers::Node, until};

/// Migrations of one socket.
pub const MOVES: usize = 20;

/// The configuration that has clients told.
pub const POOL: &str = "migration_strategy = \"client\"";

/// The folder of the TypeScript client, built.
#[track_caller]
pub fn client_js() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/js");
    assert!(
        folder.join("dist/foreshift-client.min.js").is_file() && folder.join("node_modules").is_dir(),
        "clients/js is not built: run `cargo xtask test`, which builds it"
    );
    folder.canonicalize().expect("it is there")
}

/// Two nodes for [`move_to_and_fro`].
#[track_caller]
pub fn nodes() -> [Node; 2] {
    let bundle = client_js().join("dist/foreshift-client.min.js");
    ["a", "b"].map(|id| Node::numbers(id, &bundle))
}

/// What a client makes of its instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Follows,
    /// It refuses, and so the ingress moves it.
    Refuses,
}

/// Has the one WebSocket told to move [`MOVES`] times, and holds what its user saw against what the nodes saw.
#[track_caller]
pub fn move_to_and_fro(foreshift: &Foreshift, mut nodes: [Node; 2], client: Told) {
    let mut here = usize::from(foreshift.api.the_websocket()["node"] == "b");
    let mut stints = Vec::new();
    for _ in 0..MOVES {
        nodes[here].process.event("lively");
        until("the move is done", || {
            let open = foreshift.api.the_websocket();
            (open["moving"] == false && open["node"] == nodes[here].id).then_some(())
        });
        foreshift
            .api
            .migrate(&foreshift.api.the_websocket(), nodes[1 - here].id);
        stints.push(nodes[here].process.event("stint"));
        here = 1 - here;
    }
    let report = nodes[here].process.event("report")["report"].clone();
    stints.push(nodes[here].process.event("stint"));
    nobody_lost_anything(&report, &stints);
    let (outcome, event) = match client {
        Told::Follows => ("instructed", json!(["migrated", true])),
        Told::Refuses => ("fell_back", json!(["stayed", "the host is not allowed"])),
    };
    let mut told = vec![event; MOVES];
    told.insert(0, json!(["open", null]));
    assert_eq!(report["told"], json!(told), "{report}");
    let (_, metrics) = foreshift.api.get("/metrics");
    let metrics = metrics.as_str().expect("metrics are text");
    let counted: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("foreshift_told_total{"))
        .collect();
    assert_eq!(
        counted,
        [format!(
            "foreshift_told_total{{pool=\"app\",outcome=\"{outcome}\"}} {MOVES}"
        )]
    );
}

#[track_caller]
fn nobody_lost_anything(report: &Value, stints: &[Value]) {
    assert_eq!(report["protocol"], "numbers", "{report}");
    // To the client: what each node said on each of its connections, all of it and in order.
    let said: Vec<_> = stints
        .iter()
        .map(|stint| json!({ "node": stint["node"], "last": stint["sent"], "wrong": [] }))
        .collect();
    assert_eq!(report["stints"], json!(said), "{report}");
    // From the client: one count over all connections.
    let mut next = 1;
    for stint in stints {
        assert_eq!(
            (&stint["first"], &stint["wrong"]),
            (&json!(next), &json!([])),
            "{stint}"
        );
        next = 1 + stint["last"].as_u64().expect("a number");
    }
    assert_eq!(report["sent"], next - 1, "{report}");
}
