//! The configuration that the demo runs with: what a user would write.

use std::{fmt::Write, net::SocketAddr, path::Path};

use super::{
    run::Approach,
    setting::{NODES, POOL, WORKERS, node_capacity},
};

/// Addresses of everything that takes part.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub api: SocketAddr,
    pub listener: SocketAddr,
    /// Where the backends keep sessions' state.
    pub sessions: SocketAddr,
    /// In the order of [`NODES`].
    pub nodes: Vec<SocketAddr>,
}

/// `foreshift.toml`.
pub(super) fn text(addresses: &Addresses, folder: &Path, approach: Approach) -> String {
    let file = |name| folder.join(name).display().to_string();
    let (mode, trigger) = match approach {
        Approach::Off => ("observe", "predicted"),
        Approach::Reactive => ("act", "current"),
        Approach::Predictive => ("act", "predicted"),
    };
    let mut text = format!(
        r#"[api]
address = "{api}"

[meta]
store = "embedded"
path = {meta:?}

[session]
address = "{store}"
path = {sessions:?}
key_file = {keys:?}

[forecast]
prediction_horizon = "10s"

[[listener]]
name = "web"
address = "{listener}"
protocol = "http"
pool = "{POOL}"
affinity = [{{ header = "x-user" }}]

[[pool]]
name = "{POOL}"
mode = "{mode}"
trigger = "{trigger}"
load_threshold = 80
migration_interval = "10s"
check_interval = "500ms"
health = {{ path = "/healthz", interval = "2s", timeout = "2s", rise = 1, fall = 5 }}
failover = "resume"
replay_path = "/state"
"#,
        api = addresses.api,
        listener = addresses.listener,
        store = addresses.sessions,
        meta = file("meta.redb"),
        sessions = file("sessions.redb"),
        keys = file("session.keys"),
    );
    for (id, address) in NODES.iter().zip(&addresses.nodes) {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            r#"
[[pool.node]]
id = "{id}"
address = "{address}"
zone = "z1"
required_partitions = ["game", "cart"]
capacity = {{ requests_per_second = {rate:.1}, requests_in_flight = {in_flight}, connections = 10000 }}
"#,
            rate = node_capacity(),
            // HTTP requests that a node has in work and waiting when it is as full as it should ever be.
            in_flight = WORKERS * 4,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_that_foreshift_accepts() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let nodes = (3..7).map(address).collect();
        let addresses = Addresses {
            api: address(1),
            listener: address(2),
            sessions: address(8),
            nodes,
        };
        for approach in Approach::ALL {
            let text = text(&addresses, Path::new("/tmp/a \"b\""), approach);
            let config = foreshift_wire::Config::parse(&text).unwrap();
            assert_eq!(config.pool[0].node.len(), NODES.len());
        }
    }
}
