//! After a node's death a key's sockets and requests are together again, where the routes say.

mod common;

use std::time::Duration;

use common::{Cluster, HOOKS, PATIENCE, node_id};
use foreshift_lab::{Answer, HttpClient, Socket, SocketOptions, Style};
use foreshift_wire::{ConnectionFilter, NodeState};

const USERS: usize = 40;

#[tokio::test]
async fn sockets_that_failed_over_are_where_their_requests_go() {
    let mut cluster = Cluster::start(4, &format!("{HOOKS}failover = \"resume\"\n")).await;
    let mut sockets = Vec::new();
    for n in 0..USERS {
        let options = SocketOptions::new(cluster.address(), &format!("user-{n}"));
        sockets.push(Socket::connect(&options).await.unwrap());
    }
    let backend = cluster.backends[1].take().unwrap();
    let address = backend.address();
    backend.kill().await;
    let at_the_dead = ConnectionFilter {
        node: Some(node_id(1)),
        ..ConnectionFilter::default()
    };
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let left = async {
        while !cluster.ingress.connections(at_the_dead.clone()).await.is_empty() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("all fail over");
    cluster.set_state(1, address, NodeState::Down).await;

    let mut client = HttpClient::new(cluster.address());
    for (n, socket) in sockets.iter_mut().enumerate() {
        let user = format!("user-{n}");
        let together = async {
            loop {
                socket.send(b"hello", Style::Text).await.unwrap();
                let (of_socket, _) = socket.next().await.expect("it is open");
                let answer = client.get("/work", &[("x-user", &user)]).await.unwrap();
                let of_request: Answer = serde_json::from_slice(answer.body()).unwrap();
                if (&of_socket.node, of_socket.epoch) == (&of_request.node, of_request.epoch) {
                    return;
                }
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, together)
            .await
            .unwrap_or_else(|_| panic!("{user} is in two places"));
    }
    for socket in sockets {
        let tally = socket.close().await;
        assert_eq!(
            (tally.lost, tally.duplicated, tally.reordered),
            (0, 0, 0),
            "{tally:?}"
        );
    }
}
