//! A session's required partitions are with its new node before that serves it, in a fixed order.

mod common;

use std::sync::Arc;

use common::{
    Cluster, PATIENCE,
    raw::{Raw, frame},
    state::{StateNode, Store},
};
use foreshift_wire::SessionId;

const PUSH: &str = "replay_path = \"/replay\"\n";

struct Stage {
    cluster: Cluster,
    nodes: Vec<StateNode>,
    store: Store,
    session: SessionId,
}

async fn stage(pool: &str) -> Stage {
    let store = Store::default();
    store.write("cart", "apples");
    store.write("auth", "ann");
    store.write("game/inventory", "a sword");
    let nodes = vec![
        StateNode::start(0, &store).await,
        StateNode::start(1, &store).await,
    ];
    let addresses = [nodes[0].address, nodes[1].address];
    let required = ["cart", "game/*"];
    let cluster = Cluster::carrying("", &addresses, pool, &required, Arc::new(store.clone())).await;
    let session = cluster.session("ann");
    Stage {
        cluster,
        nodes,
        store,
        session,
    }
}

async fn say(client: &mut Raw, text: &str) -> String {
    client.send(frame(0x81, true, text.as_bytes())).await;
    tokio::time::timeout(PATIENCE, client.text())
        .await
        .expect("an answer")
}

async fn get(client: &mut Raw, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n");
    client.send(request).await;
    client.answer(false).await.text()
}

#[tokio::test]
async fn what_is_required_is_there_before_the_switch_and_nothing_else() {
    let mut s = stage(PUSH).await;
    let (mut client, _) = Raw::websocket(s.cluster.address(), "ann", "").await;
    let from = s.cluster.home("ann").await;
    let to = 1 - from;
    assert_eq!(say(&mut client, "one").await, format!("n{from} one"));
    let before = s.store.owner(s.session).unwrap();
    s.nodes[to].meanwhile(s.session, "apples and pears");
    s.store.log.take();
    s.cluster.migrate("ann", from, to).await.expect("it moves");
    assert_eq!(say(&mut client, "two").await, format!("n{to} two"));
    s.store.log.until(&format!("n{from} forgets")).await;
    let epoch = s.store.owner(s.session).unwrap().1;
    assert_eq!(
        s.store.log.take(),
        [
            format!("n{to} is sent cart 1 since 0: apples"),
            format!("n{to} is sent game%2Finventory 3 since 0: a sword"),
            format!("hand to n{to}"),
            format!("n{to} is sent cart 4 since 1: apples and pears"),
            format!("n{to} is asked /chat"),
            format!("n{from} forgets, reign {epoch}"),
        ]
    );
    let handshake = s.nodes[to].heads().pop().unwrap();
    assert_eq!(handshake.field("foreshift-epoch"), Some(epoch.to_string()));
    assert_eq!(handshake.field("foreshift-resume"), Some(s.session.to_string()));
    assert_eq!(handshake.field("foreshift-resume-token"), None);
    assert!(epoch > before.1);
    let refused = s.store.write_as(s.session, from, before.1, "lost");
    assert_eq!(refused, Err(epoch), "what the old node writes is refused");
}

#[tokio::test]
async fn there_and_back_sends_what_changed() {
    let mut s = stage(PUSH).await;
    let (mut client, _) = Raw::websocket(s.cluster.address(), "ann", "").await;
    let home = s.cluster.home("ann").await;
    for round in 0..6 {
        let (from, to) = if round % 2 == 0 {
            (home, 1 - home)
        } else {
            (1 - home, home)
        };
        s.store.write("cart", &format!("cart {round}"));
        s.cluster.migrate("ann", from, to).await.expect("it moves");
        assert_eq!(say(&mut client, "on").await, format!("n{to} on"));
        let sent = s.store.log.until(&format!("n{to} is sent cart")).await;
        assert!(sent.ends_with(&format!("cart {round}")), "{sent}");
        s.store.log.until(&format!("n{from} forgets")).await;
        s.store.log.take();
        assert_eq!(s.store.owner(s.session).unwrap().0, common::node_id(to));
    }
}

#[tokio::test]
async fn where_nodes_fetch_it_the_handshake_brings_a_token() {
    let mut s = stage("").await;
    let (mut client, _) = Raw::websocket(s.cluster.address(), "ann", "").await;
    let from = s.cluster.home("ann").await;
    let to = 1 - from;
    s.store.log.take();
    s.cluster.migrate("ann", from, to).await.expect("it moves");
    assert_eq!(say(&mut client, "on").await, format!("n{to} on"));
    let lines = s.store.log.take();
    assert_eq!(lines, [format!("hand to n{to}"), format!("n{to} is asked /chat")]);
    let handshake = s.nodes[to].heads().pop().unwrap();
    assert_eq!(
        handshake.field("foreshift-resume-token"),
        Some(format!("ticket-1-for-n{to}"))
    );
    // The next node hears nothing of this one's.
    s.cluster.migrate("ann", to, from).await.expect("it moves");
    let handshake = s.nodes[from].heads().pop().unwrap();
    let epoch = s.store.owner(s.session).unwrap().1;
    assert_eq!(
        handshake.field("foreshift-resume-token"),
        Some(format!("ticket-2-for-n{from}"))
    );
    assert_eq!(handshake.field("foreshift-epoch"), Some(epoch.to_string()));
}

#[tokio::test]
async fn a_session_without_streams_waits_for_its_state_at_its_next_request() {
    for (pool, pushes) in [(PUSH, true), ("", false)] {
        let mut s = stage(pool).await;
        let mut client = Raw::connect(s.cluster.address()).await;
        let from: usize = get(&mut client, "/a").await[1..].parse().unwrap();
        let to = 1 - from;
        s.store.log.take();
        let id = s.cluster.order("ann", from, to).await;
        while get(&mut client, "/b").await != format!("n{to}") {}
        s.cluster.outcome(id).await.expect("it moves");
        s.store.log.until(&format!("n{to} is asked")).await;
        let lines: Vec<_> = s.store.log.take();
        let mut expected = vec![format!("hand to n{to}"), format!("n{to} is asked /b")];
        if pushes {
            expected.insert(0, format!("n{to} is sent game%2Finventory 3 since 0: a sword"));
            expected.insert(0, format!("n{to} is sent cart 1 since 0: apples"));
        }
        // Until it holds requests, the old node answers them.
        let old = format!("n{from} ");
        let asked: Vec<_> = lines.into_iter().filter(|l| !l.starts_with(&old)).collect();
        assert_eq!(asked, expected);
        let epoch = s.store.owner(s.session).unwrap().1.to_string();
        assert_eq!(get(&mut client, "/c").await, format!("n{to}"));
        let heads = s.nodes[to].heads();
        let tokens: Vec<_> = heads.iter().map(|h| h.field("foreshift-resume-token")).collect();
        let token = (!pushes).then(|| format!("ticket-1-for-n{to}"));
        assert_eq!(tokens, [token, None], "once");
        assert!(
            heads
                .iter()
                .all(|h| h.field("foreshift-epoch").as_ref() == Some(&epoch))
        );
    }
}

#[tokio::test]
async fn a_connection_is_told_one_reign_until_its_session_changes_hands() {
    let mut s = stage(PUSH).await;
    let mut client = Raw::connect(s.cluster.address()).await;
    let from: usize = get(&mut client, "/a").await[1..].parse().unwrap();
    let asked = s.store.asked();
    for _ in 0..5 {
        get(&mut client, "/a").await;
    }
    assert_eq!(s.store.asked(), asked, "it is kept with the connection");
    let epochs = |node: &StateNode| -> Vec<u64> {
        let heads = node.heads();
        let epoch = |h: &common::raw::Message| h.field("foreshift-epoch").unwrap().parse().unwrap();
        heads.iter().map(epoch).collect()
    };
    let old = epochs(&s.nodes[from]);
    assert!(old.len() == 6 && old.iter().all(|e| *e == old[0]), "{old:?}");
    let id = s.cluster.order("ann", from, 1 - from).await;
    while get(&mut client, "/b").await == format!("n{from}") {}
    s.cluster.outcome(id).await.expect("it moves");
    let new = epochs(&s.nodes[1 - from]);
    assert!(new.len() == 1 && new[0] > old[0], "{old:?} {new:?}");
}

#[tokio::test]
async fn a_client_cannot_speak_of_reigns_tokens_or_nodes() {
    let mut s = stage(PUSH).await;
    let mut client = Raw::connect(s.cluster.address()).await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nx-user: ann\r\nForeshift-Epoch: 99999\r\nforeshift-resume-token: x\r\n\
             Foreshift-Node: n1\r\nForeshift_Failover: n0\r\n\r\n",
        )
        .await;
    let at: usize = client.answer(false).await.text()[1..].parse().unwrap();
    let head = s.nodes[at].heads().pop().unwrap();
    let epoch = s.store.owner(s.session).unwrap().1.to_string();
    assert_eq!(head.field("foreshift-epoch"), Some(epoch));
    for name in ["foreshift-resume-token", "foreshift-node", "foreshift_failover"] {
        assert_eq!(head.field(name), None, "{name}");
    }
    s.cluster.events.close();
}
