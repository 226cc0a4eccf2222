//! A node dies while a fragmented message is under way to it: the rest of that is dropped, and nothing else.

mod common;

use common::{
    Cluster, HOOKS, node_id,
    raw::{Raw, RawNode, frame},
};

/// A client whose message was cut by its node's death, and the node that took over.
struct Stage {
    cluster: Cluster,
    nodes: Vec<Option<RawNode>>,
    client: Raw,
    /// The end of the WebSocket at the node that took over.
    at_node: Raw,
    home: usize,
}

async fn accept(nodes: &[Option<RawNode>]) -> (usize, Raw) {
    let each = nodes.iter().enumerate().filter_map(|(n, node)| {
        let node = node.as_ref()?;
        Some(Box::pin(async move { (n, node.accept().await) }))
    });
    futures_util::future::select_all(each).await.0
}

async fn cut() -> Stage {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Some(RawNode::start().await));
    }
    let addresses: Vec<_> = nodes.iter().flatten().map(|n| n.address).collect();
    let pool = format!("{HOOKS}failover = \"resume\"\n");
    let cluster = Cluster::over(&addresses, &pool, "").await;
    let serve = async {
        let (n, mut raw) = accept(&nodes).await;
        raw.agree("").await;
        (n, raw)
    };
    let ((mut client, _), (dies, mut old)) =
        tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
    client.send(frame(0x01, true, b"begun")).await;
    assert_eq!(old.frame().await.unwrap().payload, b"begun");
    drop((nodes[dies].take(), old));
    let (home, mut at_node) = accept(&nodes).await;
    let request = at_node.agree("").await;
    assert_eq!(
        request.field("foreshift-failover"),
        Some(node_id(dies).to_string())
    );
    // Once this arrives the failover is complete.
    at_node.send(frame(0x81, false, b"welcome")).await;
    assert_eq!(client.text().await, "welcome");
    Stage {
        cluster,
        nodes,
        client,
        at_node,
        home,
    }
}

impl Stage {
    /// Orders a move to the node that is left. Returns which that is.
    async fn order(&mut self) -> usize {
        let left = |n: &usize| *n != self.home && self.nodes[*n].is_some();
        let to = (0..3).find(left).expect("one is left");
        self.cluster.order("ann", self.home, to).await;
        to
    }

    /// How many messages the hook of the node of now is told to wait for.
    async fn hook(&mut self) -> String {
        let node = self.nodes[self.home].as_ref().expect("it lives");
        let call = node.accept().await.request().await.expect("the hook is called");
        let messages = call.field("foreshift-messages").expect("it says how many");
        messages
            .split_once('=')
            .expect("connection and number")
            .1
            .to_owned()
    }
}

#[tokio::test]
async fn the_new_node_gets_whole_messages_only_and_they_alone_are_counted() {
    let mut stage = cut().await;
    stage
        .client
        .send([frame(0x80, true, b"rest"), frame(0x81, true, b"next")].concat())
        .await;
    assert_eq!(stage.at_node.text().await, "next");
    stage.order().await;
    assert_eq!(stage.hook().await, "1");
}

#[tokio::test]
async fn a_move_waits_for_the_end_of_what_is_dropped() {
    let mut stage = cut().await;
    let to = stage.order().await;
    let _new = stage.nodes[to].as_ref().unwrap().accept().await;
    stage
        .client
        .send([frame(0x80, true, b"rest"), frame(0x81, true, b"next")].concat())
        .await;
    let messages: u64 = stage.hook().await.parse().unwrap();
    // The pause may have come before the end of the message or behind it.
    assert!(messages <= 1, "{messages}");
}
