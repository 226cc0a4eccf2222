//! Nodes without hooks: a ping behind the last message and its pong are the barrier.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, frame},
};
use foreshift_lab::{BackendOptions, Socket, SocketOptions, Style};
use foreshift_wire::{MoveFailure, MoveId};

#[tokio::test]
async fn messages_go_on_in_order_though_no_state_follows() {
    let options = BackendOptions {
        stateless: true,
        ..BackendOptions::default()
    };
    let mut cluster = Cluster::start_like(2, "", "", &options).await;
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    for _ in 0..6 {
        let from = cluster.home("ann").await;
        let id = cluster.order("ann", from, 1 - from).await;
        for style in [Style::Text, Style::Binary, Style::Fragmented(4)] {
            socket.send(b"hello", style).await.unwrap();
        }
        cluster.outcome(id).await.expect("it moves");
        cluster
            .settle(cluster.session("ann"), &common::node_id(1 - from))
            .await;
        assert_eq!(cluster.home("ann").await, 1 - from);
    }
    while socket.pending() > 0 {
        socket.next().await.expect("it is open");
    }
    let tally = socket.close().await;
    let faults = (tally.lost, tally.duplicated, tally.reordered, tally.corrupted);
    assert_eq!((tally.answered, faults), (18, (0, 0, 0, 0)), "{tally:?}");
}

struct Stage {
    cluster: Cluster,
    nodes: [RawNode; 2],
    client: Raw,
    old: Raw,
    new: Raw,
    from: usize,
    move_id: MoveId,
    /// Payload of the ping that the old node was sent.
    barrier: Vec<u8>,
}

/// A move up to the barrier, with nodes that the test speaks for.
async fn up_to_the_barrier() -> Stage {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let pool = "migration_deadline = \"500ms\"\nfailover = \"resume\"";
    let mut cluster = Cluster::over(&[nodes[0].address, nodes[1].address], pool, "").await;
    let serve = async {
        let (from, mut raw) = tokio::select! {
            raw = nodes[0].accept() => (0, raw),
            raw = nodes[1].accept() => (1, raw),
        };
        raw.agree("").await;
        (from, raw)
    };
    let ((mut client, _), (from, mut old)) =
        tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
    client.send(frame(0x81, true, b"before")).await;
    assert_eq!(old.text().await, "before");
    let move_id = cluster.order("ann", from, 1 - from).await;
    let new = nodes[1 - from].accept().await;
    let ping = old.frame().await.unwrap();
    assert_eq!(ping.opcode, 9);
    client.send(frame(0x81, true, b"behind")).await;
    Stage {
        cluster,
        nodes,
        client,
        old,
        new,
        from,
        move_id,
        barrier: ping.payload,
    }
}

#[tokio::test]
async fn what_the_old_node_says_before_the_pong_comes_first_and_the_pong_not_at_all() {
    let mut stage = up_to_the_barrier().await;
    let said = [
        frame(0x8a, false, b"another pong"),
        frame(0x01, false, b"be"),
        frame(0x8a, false, &stage.barrier),
        frame(0x80, false, b"fore"),
    ]
    .concat();
    for piece in said.chunks(5) {
        stage.old.send(piece).await;
    }
    stage.new.agree("").await;
    stage.cluster.outcome(stage.move_id).await.expect("it moves");
    assert_eq!(stage.new.text().await, "behind");
    stage.new.send(frame(0x81, false, b"from the new node")).await;
    let pong = stage.client.frame().await.unwrap();
    assert_eq!((pong.opcode, pong.payload.as_slice()), (10, &b"another pong"[..]));
    let parts = [
        stage.client.frame().await.unwrap(),
        stage.client.frame().await.unwrap(),
    ];
    assert_eq!(
        [&parts[0].payload[..], &parts[1].payload[..]],
        [&b"be"[..], b"fore"]
    );
    drop(stage.old);
    assert_eq!(stage.client.text().await, "from the new node");
}

#[tokio::test]
async fn an_old_node_that_never_answers_the_ping_serves_on() {
    let mut stage = up_to_the_barrier().await;
    let failure = stage
        .cluster
        .outcome(stage.move_id)
        .await
        .expect_err("the deadline passes");
    assert_eq!(
        failure,
        MoveFailure::Deadline {
            step: "draining".into()
        }
    );
    assert_eq!(stage.old.text().await, "behind");
    stage.new.closes().await;
    // The pong that comes late is no business of the client's.
    stage
        .old
        .send([frame(0x8a, false, &stage.barrier), frame(0x81, false, b"late")].concat())
        .await;
    assert_eq!(stage.client.text().await, "late");
}

#[tokio::test]
async fn an_old_node_that_breaks_the_protocol_at_the_barrier_ends_the_connection() {
    let mut stage = up_to_the_barrier().await;
    stage.old.send([0xff; 32]).await;
    assert_eq!(stage.client.frame().await.unwrap().close_code(), Some(1014));
    stage.client.closes().await;
    stage.new.closes().await;
}

#[tokio::test]
async fn an_old_node_that_dies_at_the_barrier_fails_over() {
    let stage = up_to_the_barrier().await;
    let Stage {
        mut cluster,
        nodes,
        mut client,
        old,
        mut new,
        from,
        move_id,
        ..
    } = stage;
    let [first, second] = nodes;
    let (dead, alive) = if from == 0 {
        (first, second)
    } else {
        (second, first)
    };
    drop((dead, old));
    let failure = cluster.outcome(move_id).await.expect_err("the old node is gone");
    assert_eq!(failure, MoveFailure::OldNodeLost);
    new.closes().await;
    let mut new = alive.accept().await;
    let request = new.agree("").await;
    assert_eq!(
        request.field("foreshift-failover"),
        Some(common::node_id(from).to_string())
    );
    assert_eq!(
        new.text().await,
        "behind",
        "what the old node was never sent is not lost"
    );
    new.send(frame(0x81, false, b"hello")).await;
    assert_eq!(client.text().await, "hello");
}
