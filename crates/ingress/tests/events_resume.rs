//! Server-sent events go on with another node, and the client sees each of them once.

mod common;

use std::collections::BTreeSet;

use common::{Cluster, HOOKS, raw::Raw};
use foreshift_lab::Answer;

struct Listener {
    raw: Raw,
    text: String,
    last: u64,
    nodes: BTreeSet<String>,
}

impl Listener {
    async fn open(cluster: &Cluster, last: u64) -> Self {
        let mut raw = Raw::connect(cluster.address()).await;
        let resume = match last {
            0 => String::new(),
            last => format!("Last-Event-ID: {last}\r\n"),
        };
        raw.send(format!(
            "GET /events?every_ms=3 HTTP/1.1\r\nHost: a\r\nx-user: ann\r\nAccept: text/event-stream\r\n{resume}\r\n"
        ))
        .await;
        let head = raw.head().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.field("content-type").as_deref(), Some("text/event-stream"));
        Self {
            raw,
            text: String::new(),
            last,
            nodes: BTreeSet::new(),
        }
    }

    /// The next event, which must be the one that is due; false where the stream ends.
    async fn next(&mut self) -> bool {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (id, data) = event.split_once('\n').expect("id and data");
                let id: u64 = id.strip_prefix("id: ").expect("an id").parse().unwrap();
                assert_eq!(id, self.last + 1, "each event comes once and in its turn");
                let answer: Answer = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                self.nodes.insert(answer.node);
                self.last = id;
                self.text = rest.to_owned();
                return true;
            }
            match self.raw.chunk().await {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => return false,
            }
        }
    }

    async fn listen(&mut self, events: u64) {
        for _ in 0..events {
            assert!(self.next().await, "the stream goes on");
        }
    }
}

async fn moves_while_it_runs(pool: &str) {
    let mut cluster = Cluster::start(2, pool).await;
    let mut listener = Listener::open(&cluster, 0).await;
    listener.listen(5).await;
    for round in 0..10 {
        let from = cluster.home("ann").await;
        let moving = cluster.migrate("ann", from, 1 - from);
        let listening = async {
            loop {
                assert!(listener.next().await, "the stream goes on");
            }
        };
        let pauses = tokio::select! {
            pauses = moving => pauses.expect("it moves"),
            () = listening => unreachable!("it has no end"),
        };
        assert_eq!(pauses.len(), 1, "round {round}");
        assert_eq!(cluster.home("ann").await, 1 - from);
        listener.nodes.clear();
        while !listener.nodes.contains(common::node_id(1 - from).as_str()) {
            listener.listen(1).await;
        }
    }
    listener.listen(10).await;
}

#[tokio::test]
async fn a_stream_moves_with_its_sessions_state() {
    moves_while_it_runs(HOOKS).await;
}

#[tokio::test]
async fn a_stream_moves_without_hooks() {
    moves_while_it_runs("").await;
}

#[tokio::test]
async fn a_stream_outlives_its_node() {
    let mut cluster = Cluster::start(2, "failover = \"resume\"").await;
    let mut listener = Listener::open(&cluster, 0).await;
    listener.listen(5).await;
    let home = cluster.home("ann").await;
    cluster.backends[home].take().unwrap().kill().await;
    while listener.nodes.len() < 2 {
        listener.listen(1).await;
    }
    listener.listen(10).await;
    assert_eq!(cluster.home("ann").await, 1 - home);
}

#[tokio::test]
async fn a_stream_that_may_not_outlive_its_node_is_resumed_by_its_client() {
    let mut cluster = Cluster::start(2, "").await;
    let mut listener = Listener::open(&cluster, 0).await;
    listener.listen(5).await;
    let home = cluster.home("ann").await;
    cluster.backends[home].take().unwrap().kill().await;
    while listener.next().await {}
    let mut again = Listener::open(&cluster, listener.last).await;
    again.listen(5).await;
}
