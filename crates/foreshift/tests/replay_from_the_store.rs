//! With the store itself: what the old node writes behind the fence is refused, and nothing that was acknowledged is lost.

#[path = "../../ingress/tests/common/mod.rs"]
mod common;
#[path = "../src/state.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod state;

use std::{sync::Arc, time::Duration};

use common::{
    Cluster, node_id,
    raw::Raw,
    state::{StateNode, Store},
};
use foreshift_store::{Batch, Caller, Change, Error, If, Refusal, Select, Sessions, Value};
use foreshift_wire::{Epoch, PartitionName, Session, SessionId};
use state::State;

/// As a node writes that says who it is and in which reign.
async fn write(sessions: &Sessions, id: SessionId, node: usize, epoch: Epoch, n: u64) -> Result<(), Error> {
    let caller = Caller {
        node: Some(node_id(node)),
        epoch: Some(epoch),
        ..Caller::own()
    };
    let change = Change {
        key: format!("{n}").into(),
        condition: If::Absent,
        value: Some(Value::bytes("apples")),
    };
    let batch = Batch {
        changes: vec![change],
        ..Batch::default()
    };
    let cart = PartitionName::new("cart").unwrap();
    sessions.write(&caller, id, &cart, batch).await.map(drop)
}

#[tokio::test]
async fn every_acknowledged_write_is_there_and_none_of_a_node_that_lost_the_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Session {
        path: folder.path().join("sessions.redb"),
        key_file: folder.path().join("session.keys"),
        ..Session::default()
    };
    let sessions = Sessions::open(&config, &[]).await.expect("it opens");
    let log = Store::default();
    let nodes = [StateNode::start(0, &log).await, StateNode::start(1, &log).await];
    let addresses = [nodes[0].address, nodes[1].address];
    let state = Arc::new(State::new(sessions.clone()));
    let pool = "replay_path = \"/replay\"\n";
    let mut cluster = Cluster::carrying("", &addresses, pool, &["cart"], state).await;
    let id = cluster.session("ann");
    let (_client, _) = Raw::websocket(cluster.address(), "ann", "").await;
    let epoch_of = |node: usize| -> Epoch {
        let heads = nodes[node].heads();
        let told = heads.last().and_then(|h| h.field("foreshift-epoch"));
        told.expect("it was told").parse().unwrap()
    };
    let (mut at, mut written) = (cluster.home("ann").await, 0);
    for _ in 0..6 {
        let (from, to) = (at, 1 - at);
        let epoch = epoch_of(from);
        // The old node writes on until it is refused, while the session moves.
        let writes = async {
            loop {
                match write(&sessions, id, from, epoch, written).await {
                    Ok(()) => written += 1,
                    Err(Error::Refused(Refusal::Fenced { owner, .. })) => return owner,
                    Err(error) => panic!("{error}"),
                }
                // At a pace that keeps the partition small, however long a move takes.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (owner, moved) = tokio::join!(writes, cluster.migrate("ann", from, to));
        moved.expect("it moves");
        assert_eq!(owner, Some(node_id(to)));
        write(&sessions, id, to, epoch_of(to), written)
            .await
            .expect("the new node may");
        written += 1;
        at = to;
    }
    let cart = PartitionName::new("cart").unwrap();
    let part = sessions
        .read(&Caller::own(), id, &cart, Select::All)
        .await
        .unwrap();
    assert_eq!(part.entries.len() as u64, written, "each acknowledged write once");
    let told = log.log.lines();
    assert!(told.iter().any(|l| l.contains("is sent cart")), "{told:?}");
    sessions.close().await;
}
