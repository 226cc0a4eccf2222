//! A node that is found down while its connections are still open: streams leave it where the pool resumes them.

mod common;

use std::time::Duration;

use common::{Cluster, PATIENCE, node_id};
use foreshift_lab::{Answer, HttpClient, Socket, SocketOptions, Style};
use foreshift_wire::{ConnectionFilter, NodeState};

async fn open_at(cluster: &Cluster, node: usize) -> usize {
    let filter = ConnectionFilter {
        node: Some(node_id(node)),
        ..ConnectionFilter::default()
    };
    cluster.ingress.connections(filter).await.len()
}

async fn sockets(cluster: &Cluster, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for n in 0..count {
        let options = SocketOptions::new(cluster.address(), &format!("user-{n}"));
        sockets.push(Socket::connect(&options).await.unwrap());
    }
    sockets
}

async fn still_echo(sockets: Vec<Socket>) {
    for mut socket in sockets {
        socket.send(b"hello", Style::Text).await.unwrap();
        socket.next().await.expect("it is open");
        let tally = socket.close().await;
        assert_eq!(
            (tally.lost, tally.duplicated, tally.reordered),
            (0, 0, 0),
            "{tally:?}"
        );
    }
}

#[tokio::test]
async fn sockets_leave_a_node_that_is_found_down_though_it_closed_none() {
    let cluster = Cluster::start(3, "failover = \"resume\"\n").await;
    let sockets = sockets(&cluster, 30).await;
    assert!(open_at(&cluster, 1).await > 0, "some live there");
    let address = cluster.backend(1).address();
    cluster.set_state(1, address, NodeState::Down).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let left = async {
        while open_at(&cluster, 1).await > 0 {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("all leave");
    still_echo(sockets).await;
}

#[tokio::test]
async fn sockets_stay_where_the_pool_closes_those_of_dead_nodes_since_what_is_open_may_still_work() {
    let cluster = Cluster::start(3, "").await;
    let sockets = sockets(&cluster, 30).await;
    let before = open_at(&cluster, 1).await;
    assert!(before > 0, "some live there");
    let address = cluster.backend(1).address();
    cluster.set_state(1, address, NodeState::Down).await;
    // Whoever was to leave is told with the routes, and a request shows that these are known.
    let mut client = HttpClient::new(cluster.address());
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let routed = async {
        for n in 0..30 {
            let user = format!("user-{n}");
            loop {
                let answer = client.get("/work", &[("x-user", &user)]).await.unwrap();
                let answer: Answer = serde_json::from_slice(answer.body()).unwrap();
                if answer.node != node_id(1).to_string() {
                    break;
                }
                ticks.tick().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, routed)
        .await
        .expect("requests go elsewhere");
    assert_eq!(open_at(&cluster, 1).await, before);
    still_echo(sockets).await;
}

#[tokio::test]
async fn sockets_stay_where_there_is_no_other_node() {
    let cluster = Cluster::start(1, "failover = \"resume\"\n").await;
    let sockets = sockets(&cluster, 5).await;
    let address = cluster.backend(0).address();
    cluster.set_state(0, address, NodeState::Down).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let known = async {
        while cluster.ingress.serves(cluster.pool.clone()).await {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, known)
        .await
        .expect("the routes say that it is down");
    still_echo(sockets).await;
}
