//! One node is drained and comes back, then the other is drained: open sockets follow each time, without a hook.

mod common;

use common::{Cluster, PATIENCE, node_id};
use foreshift_lab::{Backend, BackendOptions, Socket, SocketOptions};
use foreshift_wire::{ConnectionFilter, NodeState};

/// Waits until no connection is open to a node.
async fn emptied(cluster: &Cluster, node: usize) {
    let there = ConnectionFilter {
        node: Some(node_id(node)),
        ..ConnectionFilter::default()
    };
    let empty = async {
        while !cluster.ingress.connections(there.clone()).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, empty)
        .await
        .expect("the node empties");
}

#[tokio::test]
async fn a_second_drain_takes_along_what_the_first_one_brought() {
    let mut backends = Vec::new();
    for n in 0..2 {
        let options = BackendOptions {
            name: node_id(n).to_string(),
            stateless: true,
            ..BackendOptions::default()
        };
        backends.push(Backend::start(options).await.unwrap());
    }
    let at: Vec<_> = backends.iter().map(Backend::address).collect();
    let cluster = Cluster::over(&at, "", "").await;
    let mut sockets = Vec::new();
    for n in 0..20 {
        let options = SocketOptions::new(cluster.address(), &format!("user-{n}"));
        sockets.push(Socket::connect(&options).await.unwrap());
    }
    for drained in [0, 1, 0] {
        cluster.set_state(drained, at[drained], NodeState::Draining).await;
        emptied(&cluster, drained).await;
        cluster.set_state(drained, at[drained], NodeState::Ready).await;
    }
}
