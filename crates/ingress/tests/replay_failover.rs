//! Where a node died, the next one owns the session and has what it requires of its state before it goes on.

mod common;

use std::sync::Arc;

use common::{
    Cluster, PATIENCE, node_id,
    raw::{Raw, frame},
    state::{Manner, StateNode, Store},
};
use foreshift_wire::{ConnectionFilter, NodeState, SessionId};

const PUSH: &str = "failover = \"resume\"\nreplay_path = \"/replay\"\nmigration_deadline = \"700ms\"\n";
const PULL: &str = "failover = \"resume\"\n";

struct Stage {
    cluster: Cluster,
    nodes: Vec<StateNode>,
    store: Store,
    session: SessionId,
}

async fn stage(listener: &str, pool: &str) -> Stage {
    let store = Store::default();
    store.write("cart", "apples");
    let mut nodes = Vec::new();
    for index in 0..3 {
        nodes.push(StateNode::start(index, &store).await);
    }
    let addresses: Vec<_> = nodes.iter().map(|n| n.address).collect();
    let cluster = Cluster::carrying(listener, &addresses, pool, &["cart"], Arc::new(store.clone())).await;
    let session = cluster.session("ann");
    Stage {
        cluster,
        nodes,
        store,
        session,
    }
}

impl Stage {
    /// Kills the node; no connection to it is left, and it takes no new ones.
    async fn kill(&self, index: usize) {
        self.nodes[index].kill();
        let refused = async {
            while tokio::net::TcpStream::connect(self.nodes[index].address)
                .await
                .is_ok()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.expect("it is gone");
    }

    /// Who serves the session now, and that it owns its state.
    fn check(&self, answer: &str, dead: usize, path: &str, pushes: bool) -> usize {
        let to: usize = answer[1..2].parse().unwrap();
        assert_ne!(to, dead);
        let (owner, epoch) = self.store.owner(self.session).unwrap();
        assert_eq!(owner, node_id(to));
        let head = self.nodes[to].heads().pop().unwrap();
        assert_eq!(head.field("foreshift-failover"), Some(format!("n{dead}")));
        assert_eq!(head.field("foreshift-epoch"), Some(epoch.to_string()));
        let lines = self.store.log.take();
        let ours: Vec<_> = lines
            .iter()
            .filter(|l| !l.starts_with(&format!("n{dead} ")))
            .collect();
        let (hand, asked) = (format!("hand to n{to}"), format!("n{to} is asked {path}"));
        let sent = format!("n{to} is sent cart 1 since 0 of dead n{dead}: apples");
        if pushes {
            assert_eq!(ours, [&hand, &sent, &asked]);
            assert_eq!(head.field("foreshift-resume-token"), None);
        } else {
            assert_eq!(ours, [&hand, &asked]);
            assert_eq!(
                head.field("foreshift-resume-token"),
                Some(format!("ticket-1-for-n{to}"))
            );
        }
        to
    }
}

#[tokio::test]
async fn a_websocket_goes_on_with_its_state() {
    for (pool, pushes) in [(PUSH, true), (PULL, false)] {
        let s = stage("", pool).await;
        let (mut client, _) = Raw::websocket(s.cluster.address(), "ann", "").await;
        let dead = s.cluster.home("ann").await;
        s.store.log.take();
        s.kill(dead).await;
        s.store.log.until_by_other(dead, "is asked /chat").await;
        client.send(frame(0x81, true, b"on")).await;
        let answer = tokio::time::timeout(PATIENCE, client.text())
            .await
            .expect("it goes on");
        s.check(&answer, dead, "/chat", pushes);
    }
}

#[tokio::test]
async fn an_event_stream_goes_on_with_its_state() {
    let s = stage("", PUSH).await;
    let mut client = Raw::connect(s.cluster.address()).await;
    client
        .send("GET /events HTTP/1.1\r\nHost: a\r\nx-user: ann\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    client.head().await.expect("an answer");
    let event = |chunk: Vec<u8>| String::from_utf8(chunk).unwrap();
    let first = event(client.chunk().await.expect("an event"));
    let dead: usize = first.split("data: n").nth(1).unwrap()[..1].parse().unwrap();
    s.store.log.take();
    s.kill(dead).await;
    let next = event(client.chunk().await.expect("another event"));
    let answer = next.split("data: ").nth(1).unwrap().trim().to_owned();
    s.check(&answer, dead, "/events", true);
}

#[tokio::test]
async fn a_request_goes_on_with_its_state() {
    for (pool, pushes) in [(PUSH, true), (PULL, false)] {
        let s = stage("", pool).await;
        let mut client = Raw::connect(s.cluster.address()).await;
        let get = "GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n";
        client.send(get).await;
        let dead: usize = client.answer(false).await.text()[1..].parse().unwrap();
        s.store.log.take();
        s.kill(dead).await;
        client.send(get).await;
        let answer = client.answer(false).await.text();
        let to = s.check(&answer, dead, "/work", pushes);
        // Others of the session go there too, and nothing is sent again.
        for _ in 0..5 {
            let mut other = Raw::connect(s.cluster.address()).await;
            other.send(get).await;
            assert_eq!(other.answer(false).await.text(), format!("n{to}"));
        }
        let lines = s.store.log.take();
        assert!(
            lines.iter().all(|l| *l == format!("n{to} is asked /work")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_session_of_a_node_that_is_known_to_be_down_waits_for_its_state() {
    for (pool, pushes) in [(PUSH, true), (PULL, false)] {
        let s = stage("", pool).await;
        let get = "GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n";
        let mut client = Raw::connect(s.cluster.address()).await;
        client.send(get).await;
        let dead: usize = client.answer(false).await.text()[1..].parse().unwrap();
        drop(client);
        s.store.log.take();
        s.kill(dead).await;
        let mut record = common::record(dead, s.nodes[dead].address, NodeState::Down);
        record.spec.required_partitions = vec!["cart".parse().unwrap()];
        s.cluster.set_record(&record).await;
        // Events are told behind the routes that they come of.
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        while !s
            .cluster
            .ingress
            .connections(ConnectionFilter::default())
            .await
            .is_empty()
        {
            ticks.tick().await;
        }
        let mut client = Raw::connect(s.cluster.address()).await;
        client.send(get).await;
        let answer = client.answer(false).await.text();
        s.check(&answer, dead, "/work", pushes);
    }
}

#[tokio::test]
async fn a_node_that_does_not_take_the_state_does_not_go_on() {
    let s = stage("", PUSH).await;
    let (mut client, _) = Raw::websocket(s.cluster.address(), "ann", "").await;
    let dead = s.cluster.home("ann").await;
    let others: Vec<_> = (0..3).filter(|n| *n != dead).collect();
    // Whoever is asked first refuses; both in turn, so that it does not matter who that is.
    s.nodes[others[0]].behaves(Manner::Lies);
    s.store.log.take();
    s.kill(dead).await;
    s.store.log.until_by_other(dead, "is asked /chat").await;
    client.send(frame(0x81, true, b"on")).await;
    let answer = tokio::time::timeout(PATIENCE, client.text())
        .await
        .expect("it goes on");
    assert_eq!(answer, format!("n{} on", others[1]));
    assert_eq!(s.store.owner(s.session).unwrap().0, node_id(others[1]));
    let asked = s.store.log.take();
    assert!(
        !asked.contains(&format!("n{} is asked /chat", others[0])),
        "{asked:?}"
    );
}
