//! A node that the pool leaves out because it fails: who goes elsewhere, and who stays.

mod common;

use common::{Cluster, HOOKS, node_id, raw::Raw, record};
use foreshift_lab::{Fault, Step};
use foreshift_wire::{Ejection, NodeState};

async fn status(client: &mut Raw, user: &str) -> u16 {
    let head = format!("GET /work HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\n\r\n");
    client.send(head).await;
    client.answer(false).await.status()
}

async fn eject(cluster: &Cluster, index: usize, ejected: bool) {
    let mut record = record(index, cluster.backend(index).address(), NodeState::Ready);
    record.ejected = ejected.then(|| Ejection {
        since_ms: 0,
        until_ms: u64::MAX,
        times: 1,
        reason: "the test says so".into(),
    });
    cluster.set_record(&record).await;
}

/// Which node has how many users.
async fn homes(cluster: &Cluster, client: &mut Raw, users: &[String]) -> Vec<usize> {
    let mut homes = Vec::new();
    for user in users {
        assert_eq!(status(client, user).await, 200);
        homes.push(cluster.home(user).await);
    }
    homes
}

fn users() -> Vec<String> {
    (0..24).map(|n| format!("user-{n}")).collect()
}

#[tokio::test]
async fn keys_of_an_ejected_node_go_to_the_next_and_come_back_and_no_other_key_moves() {
    let cluster = Cluster::start(3, "outlier = {}").await;
    let mut client = Raw::connect(cluster.address()).await;
    let before = homes(&cluster, &mut client, &users()).await;
    eject(&cluster, 0, true).await;
    // The verdict arrives a moment after it was committed.
    let during = loop {
        let now = homes(&cluster, &mut client, &users()).await;
        if !now.contains(&0) {
            break now;
        }
    };
    for (before, during) in before.iter().zip(&during) {
        assert!(before == during || *before == 0, "{before} {during}");
    }
    eject(&cluster, 0, false).await;
    while homes(&cluster, &mut client, &users()).await != before {}
}

#[tokio::test]
async fn where_nodes_have_state_sessions_stay_with_an_ejected_node() {
    let cluster = Cluster::start(3, &format!("{HOOKS}outlier = {{}}")).await;
    let mut client = Raw::connect(cluster.address()).await;
    let before = homes(&cluster, &mut client, &users()).await;
    eject(&cluster, 0, true).await;
    // A change of node 1 that the workers see only after that one.
    cluster
        .set_state(1, cluster.backend(1).address(), NodeState::Down)
        .await;
    let during = loop {
        let now = homes(&cluster, &mut client, &users()).await;
        if !now.contains(&1) {
            break now;
        }
    };
    for (before, during) in before.iter().zip(&during) {
        assert!(before == during || *before == 1, "{before} {during}");
    }
    assert!(before.contains(&0), "some are the ejected node's");
}

#[tokio::test]
async fn a_key_with_an_open_websocket_stays_and_so_does_the_websocket() {
    let cluster = Cluster::start_with(2, "outlier = {}", "[ingress]\nworkers = 1").await;
    let mut client = Raw::connect(cluster.address()).await;
    let before = homes(&cluster, &mut client, &users()).await;
    let of = |index| before.iter().position(|home| *home == index).expect("some are");
    let (with, without) = (
        of(0),
        before.iter().rposition(|home| *home == 0).expect("some are"),
    );
    assert_ne!(with, without, "two users of the node");
    let (mut socket, answer) = Raw::websocket(cluster.address(), &users()[with], "").await;
    assert_eq!(answer.status(), 101);
    eject(&cluster, 0, true).await;
    while {
        assert_eq!(status(&mut client, &users()[without]).await, 200);
        cluster.home(&users()[without]).await == 0
    } {}
    assert_eq!(status(&mut client, &users()[with]).await, 200);
    for connection in cluster.connections_of(&users()[with]).await {
        assert_eq!(connection.node, node_id(0));
    }
    socket.send(common::raw::frame(0x81, true, br#"{"id":1}"#)).await;
    assert!(
        socket.text().await.contains("\"n0\""),
        "it is answered by its node"
    );
}

#[tokio::test]
async fn workers_tell_errors_in_a_row_and_what_was_answered() {
    let cluster = Cluster::start(1, "outlier = {}").await;
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(status(&mut client, "ann").await, 200);
    cluster.backend(0).fail(Step::Request, Fault::Refuse).await;
    // Connections of several workers, as the run is over all of them.
    for _ in 0..4 {
        assert_eq!(
            status(&mut Raw::connect(cluster.address()).await, "ann").await,
            503
        );
    }
    cluster.backend(0).fail(Step::Request, Fault::Garbage).await;
    assert_eq!(
        status(&mut Raw::connect(cluster.address()).await, "ann").await,
        502
    );
    let seen = cluster.report_that(|_| true).await.nodes[0].resilience.clone();
    assert_eq!((seen.answered, seen.failed, seen.failed_in_a_row), (6, 5, 5));
    cluster.backend(0).heal().await;
    assert_eq!(status(&mut client, "ann").await, 200);
    cluster.backend(0).fail(Step::Request, Fault::Refuse).await;
    assert_eq!(status(&mut client, "ann").await, 503);
    let seen = cluster.report_that(|_| true).await.nodes[0].resilience.clone();
    assert_eq!((seen.answered, seen.failed, seen.failed_in_a_row), (2, 1, 1));
}
