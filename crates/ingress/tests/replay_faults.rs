//! A replay that goes wrong leaves the session with its old node, which owns its state and goes on.

mod common;

use std::sync::Arc;

use common::{
    Cluster, HOOKS, PATIENCE, node_id,
    raw::{Raw, frame},
    state::{Manner, StateNode, Store, Trouble},
};
use foreshift_wire::MoveFailure;

const POOL: &str = "replay_path = \"/replay\"\nmigration_deadline = \"700ms\"\n";

async fn say(client: &mut Raw, text: &str) -> String {
    client.send(frame(0x81, true, text.as_bytes())).await;
    tokio::time::timeout(PATIENCE, client.text())
        .await
        .expect("an answer")
}

struct Stage {
    cluster: Cluster,
    nodes: Vec<StateNode>,
    store: Store,
    client: Raw,
    from: usize,
}

async fn stage() -> Stage {
    stage_with("").await
}

/// With more lines of the pool.
async fn stage_with(pool: &str) -> Stage {
    let pool = format!("{POOL}{pool}");
    let store = Store::default();
    store.write("cart", "apples");
    let nodes = vec![
        StateNode::start(0, &store).await,
        StateNode::start(1, &store).await,
    ];
    let addresses = [nodes[0].address, nodes[1].address];
    let cluster = Cluster::carrying("", &addresses, &pool, &["cart"], Arc::new(store.clone())).await;
    let (client, _) = Raw::websocket(cluster.address(), "ann", "").await;
    let from = cluster.home("ann").await;
    Stage {
        cluster,
        nodes,
        store,
        client,
        from,
    }
}

impl Stage {
    /// The move fails in one of these ways; every message is answered by the old node, who may write.
    async fn stays(&mut self, expected: &[&str]) -> MoveFailure {
        let session = self.cluster.session("ann");
        let (from, to) = (self.from, 1 - self.from);
        let (cluster, client) = (&mut self.cluster, &mut self.client);
        let talk = async {
            for n in 0.. {
                assert_eq!(say(client, &format!("m{n}")).await, format!("n{from} m{n}"));
                tokio::task::yield_now().await;
            }
        };
        let failure = tokio::select! {
            () = talk => unreachable!("it talks until the move has ended"),
            outcome = cluster.migrate("ann", from, to) => outcome.expect_err("it cannot move"),
        };
        // What was under way when the talk was cut is answered as well, in its order.
        self.client.send(frame(0x81, true, b"after")).await;
        while self.client.text().await != format!("n{from} after") {}
        let (owner, epoch) = self.store.owner(session).unwrap();
        assert_eq!(owner, node_id(from));
        self.store
            .write_as(session, from, epoch, "more apples")
            .expect("the old node owns it");
        let name = match &failure {
            MoveFailure::Replay { .. } => "replay",
            MoveFailure::Fence { .. } => "fence",
            MoveFailure::Deadline { step } => step,
            other => panic!("{other:?}"),
        };
        assert!(expected.contains(&name), "{failure:?}, not {expected:?}");
        failure
    }

    async fn moves(&mut self) {
        let (from, to) = (self.from, 1 - self.from);
        self.cluster.migrate("ann", from, to).await.expect("it moves");
        assert_eq!(say(&mut self.client, "on").await, format!("n{to} on"));
        assert_eq!(
            self.store.owner(self.cluster.session("ann")).unwrap().0,
            node_id(to)
        );
        self.from = to;
    }
}

#[tokio::test]
async fn a_node_that_does_not_take_the_copy_changes_nothing() {
    let mut s = stage().await;
    for (manner, expected) in [
        (Manner::Refuses, &["replay"][..]),
        (Manner::HalfReads, &["replay"]),
        (Manner::Lies, &["replay"]),
        (Manner::IsSilent, &["replay"]),
        (Manner::Stalls, &["copying", "replay"]),
    ] {
        let before = s.store.owner(s.cluster.session("ann"));
        s.nodes[1 - s.from].behaves(manner);
        s.stays(expected).await;
        assert_eq!(
            before,
            s.store.owner(s.cluster.session("ann")),
            "{manner:?}: not even a new reign"
        );
        s.nodes[1 - s.from].behaves(Manner::Takes);
    }
    s.moves().await;
}

#[tokio::test]
async fn a_node_that_does_not_take_the_rest_gives_the_session_back() {
    for (manner, expected) in [
        (Manner::Refuses, &["replay"][..]),
        (Manner::Lies, &["replay"]),
        (Manner::Stalls, &["catching up", "replay"]),
    ] {
        let mut s = stage().await;
        let (session, to) = (s.cluster.session("ann"), 1 - s.from);
        let before = s.store.owner(session).unwrap().1;
        // The first portion is taken, and something is written meanwhile; the second one is not.
        s.nodes[to].then_behaves(manner);
        s.nodes[to].meanwhile(session, "pears");
        s.stays(expected).await;
        let (_, after) = s.store.owner(session).unwrap();
        assert!(after > before, "{manner:?}: a new reign of the old node");
        let lines = s.store.log.lines();
        let hands: Vec<_> = lines.iter().filter(|l| l.starts_with("hand")).collect();
        assert_eq!(
            hands,
            [&format!("hand to n{to}"), &format!("hand to n{}", s.from)],
            "{manner:?}"
        );
        s.nodes[to].behaves(Manner::Takes);
        s.moves().await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_had_leaves_everything_as_it_is() {
    let mut s = stage().await;
    for trouble in [Trouble::Fails, Trouble::Stalls] {
        s.store.missing_goes_wrong(Some(trouble));
        s.stays(&["replay", "copying"]).await;
        s.store.missing_goes_wrong(None);
        s.store.hand_goes_wrong(Some(trouble));
        let (_, before) = s.store.owner(s.cluster.session("ann")).unwrap();
        s.stays(&["fence", "fencing"]).await;
        s.store.hand_goes_wrong(None);
        // Whether the other node became the owner is not known: the reign of before may be over.
        s.store.log.until(&format!("reinstates n{}", s.from)).await;
        let (owner, after) = s.store.owner(s.cluster.session("ann")).unwrap();
        assert!(
            owner == node_id(s.from) && after > before,
            "{owner} {after} {before}"
        );
        s.store.log.take();
    }
    s.moves().await;
}

#[tokio::test]
async fn a_node_that_lost_its_copy_is_sent_all_of_it() {
    let mut s = stage().await;
    let (session, to) = (s.cluster.session("ann"), 1 - s.from);
    // A first attempt leaves a copy there, of which the store knows.
    s.nodes[to].then_behaves(Manner::Refuses);
    s.nodes[to].meanwhile(session, "pears");
    s.stays(&["replay"]).await;
    s.nodes[to].behaves(Manner::Lacks);
    s.store.log.take();
    s.moves().await;
    let lines = s.store.log.take();
    assert!(
        lines[0].contains("is sent badly cart") && lines[0].contains("since 1"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("since 0") && lines[1].ends_with("more apples"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn the_old_node_gets_its_state_back_with_its_new_reign() {
    let mut s = stage_with(HOOKS).await;
    let (session, to) = (s.cluster.session("ann"), 1 - s.from);
    s.nodes[to].then_behaves(Manner::Refuses);
    s.nodes[to].meanwhile(session, "pears");
    s.stays(&["replay"]).await;
    let told = s.nodes[s.from].heads().pop().expect("it was told");
    assert_eq!(told.path(), "/resume");
    assert_eq!(told.field("foreshift-handoff-aborted").as_deref(), Some("1"));
    let (_, epoch) = s.store.owner(session).unwrap();
    assert_eq!(told.field("foreshift-epoch"), Some(epoch.to_string()));
    s.nodes[to].behaves(Manner::Takes);
    s.moves().await;
    let resumed = s.nodes[to].heads().into_iter().find(|h| h.path() == "/resume");
    let (_, epoch) = s.store.owner(session).unwrap();
    assert_eq!(resumed.unwrap().field("foreshift-epoch"), Some(epoch.to_string()));
}
