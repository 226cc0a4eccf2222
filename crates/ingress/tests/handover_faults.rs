//! A hand-over that fails in any step leaves the client served, says where it failed, and can be tried again.

mod common;

use std::time::{Duration, Instant};

use common::{Cluster, HOOKS};
use foreshift_lab::{Fault, Socket, SocketOptions, Step, Style};
use foreshift_wire::MoveFailure;

const DEADLINE: Duration = Duration::from_millis(700);
/// Sweeps, a late hook, and a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    OldNode,
    NewNode,
}

/// One exchange, which must be answered by whoever serves.
async fn talk(socket: &mut Socket) {
    for style in [Style::Text, Style::Fragmented(3)] {
        socket.send(b"hello", style).await.unwrap();
        let answer = tokio::time::timeout(common::PATIENCE, socket.next()).await;
        answer.expect("it comes").expect("it is open");
    }
}

fn name(failure: &MoveFailure) -> &'static str {
    match failure {
        MoveFailure::Connect { .. } => "connect",
        MoveFailure::Handoff { .. } => "handoff",
        MoveFailure::Replay { .. } => "replay",
        MoveFailure::Fence { .. } => "fence",
        MoveFailure::Resume { .. } => "resume",
        MoveFailure::Handshake { .. } => "handshake",
        MoveFailure::Deadline { .. } => "deadline",
        MoveFailure::Unmovable { .. } => "unmovable",
        MoveFailure::OldNodeLost => "old node lost",
        MoveFailure::Cancelled { .. } => "cancelled",
    }
}

/// Two sockets of one key; the move fails; they talk on where they were; the next move succeeds.
async fn survives(at: At, step: Step, fault: Fault, expected: &[&str]) {
    let what = format!("{at:?} {step:?} {fault:?}");
    let pool = format!(
        "{HOOKS}migration_deadline = \"{}ms\"\nconnect_timeout = \"500ms\"\n",
        DEADLINE.as_millis()
    );
    let mut cluster = Cluster::start(2, &pool).await;
    let options = SocketOptions::new(cluster.address(), "ann");
    let mut sockets = [
        Socket::connect(&options).await.unwrap(),
        Socket::connect(&options).await.unwrap(),
    ];
    for socket in &mut sockets {
        talk(socket).await;
    }
    let from = cluster.home("ann").await;
    let failing = if at == At::OldNode { from } else { 1 - from };
    cluster.backend(failing).fail(step, fault).await;

    let begun = Instant::now();
    let id = cluster.order("ann", from, 1 - from).await;
    // Data waits for the outcome, whatever that is.
    for socket in &mut sockets {
        socket.send(b"meanwhile", Style::Text).await.unwrap();
    }
    let failure = cluster.outcome(id).await.expect_err(&what);
    assert!(expected.contains(&name(&failure)), "{what}: {failure:?}");
    let took = begun.elapsed();
    assert!(took < DEADLINE + SLACK, "{what}: {took:?}");
    cluster
        .settle(cluster.session("ann"), &common::node_id(from))
        .await;
    for socket in &mut sockets {
        let answer = tokio::time::timeout(common::PATIENCE, socket.next()).await;
        answer.expect(&what).expect(&what);
    }

    cluster.backend(failing).heal().await;
    for socket in &mut sockets {
        talk(socket).await;
    }
    assert_eq!(cluster.home("ann").await, from, "{what}");
    let moved = cluster.migrate("ann", from, 1 - from).await;
    assert_eq!(moved.as_ref().map(Vec::len), Ok(2), "{what}");
    for mut socket in sockets {
        talk(&mut socket).await;
        let tally = socket.close().await;
        assert!(tally.is_clean(), "{what}: {tally:?}");
    }
    let disorder = cluster.backend(0).stats().disorder + cluster.backend(1).stats().disorder;
    assert_eq!(disorder, 0, "{what}");
}

const EVERY: [Fault; 4] = [Fault::Refuse, Fault::Reset, Fault::Stall, Fault::Garbage];

#[tokio::test]
async fn a_new_node_that_takes_no_connection() {
    survives(At::NewNode, Step::Accept, Fault::Refuse, &["connect"]).await;
}

#[tokio::test]
async fn a_new_node_whose_connections_are_no_use() {
    for fault in [Fault::Reset, Fault::Stall, Fault::Garbage] {
        // It shows where the connection is first used.
        let expected = &["connect", "resume", "handshake", "deadline"];
        survives(At::NewNode, Step::Accept, fault, expected).await;
    }
}

#[tokio::test]
async fn an_old_node_whose_hook_fails() {
    for fault in EVERY {
        let expected: &[_] = if fault == Fault::Stall {
            &["deadline"]
        } else {
            &["handoff"]
        };
        survives(At::OldNode, Step::Handoff, fault, expected).await;
    }
}

#[tokio::test]
async fn a_new_node_that_does_not_take_the_state() {
    for fault in EVERY {
        let expected: &[_] = if fault == Fault::Stall {
            &["deadline", "resume"]
        } else {
            &["resume"]
        };
        survives(At::NewNode, Step::Resume, fault, expected).await;
    }
}

#[tokio::test]
async fn a_new_node_that_does_not_shake_hands() {
    for fault in EVERY {
        let expected: &[_] = if fault == Fault::Stall {
            &["deadline", "handshake"]
        } else {
            &["handshake"]
        };
        survives(At::NewNode, Step::Handshake, fault, expected).await;
    }
}

#[tokio::test]
async fn a_new_node_that_dies_in_any_step() {
    for step in [Step::Accept, Step::Resume, Step::Handshake] {
        let mut cluster = Cluster::start(2, &format!("{HOOKS}migration_deadline = \"700ms\"\n")).await;
        let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
            .await
            .unwrap();
        talk(&mut socket).await;
        let from = cluster.home("ann").await;
        cluster.backend(1 - from).fail(step, Fault::Die).await;
        let failure = cluster
            .migrate("ann", from, 1 - from)
            .await
            .expect_err("it is dead");
        assert!(
            ["connect", "resume", "handshake"].contains(&name(&failure)),
            "{step:?}: {failure:?}"
        );
        cluster.backends[1 - from].as_mut().unwrap().died().await;
        for _ in 0..3 {
            talk(&mut socket).await;
        }
        assert!(socket.close().await.is_clean(), "{step:?}");
    }
}

#[tokio::test]
async fn an_old_node_that_dies_in_its_hook_fails_over() {
    let pool = format!("{HOOKS}failover = \"resume\"\nmigration_deadline = \"700ms\"\n");
    let mut cluster = Cluster::start(2, &pool).await;
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    talk(&mut socket).await;
    let from = cluster.home("ann").await;
    cluster.backend(from).fail(Step::Handoff, Fault::Die).await;
    let failure = cluster
        .migrate("ann", from, 1 - from)
        .await
        .expect_err("its state is gone");
    assert!(
        ["handoff", "old node lost"].contains(&name(&failure)),
        "{failure:?}"
    );
    talk(&mut socket).await;
    assert_eq!(cluster.home("ann").await, 1 - from);
    let tally = socket.close().await;
    // The state died with its node, and nothing else.
    assert_eq!(
        (tally.lost, tally.duplicated, tally.reordered, tally.counters_lost),
        (0, 0, 0, 1),
        "{tally:?}"
    );
}

#[tokio::test]
async fn an_old_node_that_dies_in_its_hook_closes_where_the_pool_says_so() {
    let mut cluster = Cluster::start(2, HOOKS).await;
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    talk(&mut socket).await;
    let from = cluster.home("ann").await;
    cluster.backend(from).fail(Step::Handoff, Fault::Die).await;
    let id = cluster.order("ann", from, 1 - from).await;
    cluster.outcome(id).await.expect_err("it is dead");
    assert!(
        tokio::time::timeout(common::PATIENCE, socket.next())
            .await
            .unwrap()
            .is_none()
    );
    // Its next connection is served.
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    talk(&mut socket).await;
}
