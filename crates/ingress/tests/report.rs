//! What the data plane says of its work: counts since the last report, and who is connected.

mod common;

use common::{
    Cluster, HOOKS,
    raw::{Raw, RawNode, frame},
};
use foreshift_wire::{ConnectionFilter, ConnectionKind, PoolReport};

/// So that connections to the node are used again by whoever comes next.
const ONE_WORKER: &str = "[ingress]\nworkers = 1";

async fn report(cluster: &Cluster) -> PoolReport {
    cluster.ingress.report().await.pools.remove(0)
}

#[tokio::test]
async fn requests_busy_time_and_streams_are_counted_by_node_bucket_and_key() {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", ONE_WORKER).await;
    let ann = cluster.session("ann");
    let get = "GET / HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n";
    let mut client = Raw::connect(cluster.address()).await;
    client.send(get).await;
    let mut at_node = node.accept().await;
    for n in 0..3 {
        if n > 0 {
            client.send(get).await;
        }
        at_node.request().await.unwrap();
        at_node.ok("hello").await;
        client.answer(false).await;
    }
    // One that ends its connection is counted too, though it is gone by the time of the report.
    let mut short = Raw::connect(cluster.address()).await;
    short
        .send("GET / HTTP/1.1\r\nHost: a\r\nx-user: ann\r\nConnection: close\r\n\r\n")
        .await;
    at_node.request().await.unwrap();
    at_node.send("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await;
    short.answer(false).await;
    short.closes().await;
    let serve = async {
        at_node.agree("").await;
        at_node
    };
    let ((mut socket, _), mut at_node) = tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
    for text in ["one", "two"] {
        socket.send(frame(0x81, true, text.as_bytes())).await;
        assert_eq!(at_node.text().await, text);
        at_node.send(frame(0x81, false, b"answer")).await;
        assert_eq!(socket.text().await, "answer");
    }
    // And one is being answered.
    client.send(get).await;
    let mut busy = node.accept().await;
    busy.request().await.unwrap();

    let told = report(&cluster).await;
    let totals = &told.nodes[0];
    // Three, one, the handshake, two messages.
    assert_eq!(
        (totals.requests, totals.errors, totals.in_flight),
        (7, 1, 1),
        "{totals:?}"
    );
    assert_eq!(totals.connections, 2, "{totals:?}");
    assert!(totals.bytes >= 3 * 5 + 2 * 9 + 2 * 8, "{totals:?}");
    let answered: u64 = totals.response.0.iter().map(|(_, n)| n).sum();
    assert_eq!(answered, 5, "messages have no response time");
    assert_eq!(told.keys.len(), 1, "{:?}", told.keys);
    let key = &told.keys[0];
    assert_eq!((key.session, key.key.as_str(), key.open), (ann, "ann", 1));
    assert_eq!(
        (key.requests, key.node.clone()),
        (7, common::node_id(0)),
        "{key:?}"
    );
    assert_eq!(told.buckets.len(), 1, "{:?}", told.buckets);
    let bucket = &told.buckets[0];
    assert_eq!(
        (bucket.bucket, bucket.requests, bucket.open),
        (ann.bucket(), 7, 1),
        "{bucket:?}"
    );

    // Counts begin anew, gauges go on.
    let told = report(&cluster).await;
    let totals = &told.nodes[0];
    assert_eq!(
        (totals.requests, totals.errors, totals.bytes),
        (0, 0, 0),
        "{totals:?}"
    );
    assert_eq!((totals.in_flight, totals.connections), (1, 2));
    assert!(totals.busy_us > 0, "it is being answered all the while");
    assert_eq!(
        told.buckets
            .iter()
            .map(|b| (b.requests, b.open))
            .collect::<Vec<_>>(),
        [(0, 1)]
    );

    busy.ok("at last").await;
    client.answer(false).await;
    socket.send(frame(0x88, true, &[3, 232])).await;
    at_node.frame().await.unwrap();
    at_node.send(frame(0x88, false, &[3, 232])).await;
    drop(at_node);
    socket.frame().await.unwrap();
    socket.closes().await;
    let told = report(&cluster).await;
    assert_eq!((told.nodes[0].requests, told.nodes[0].in_flight), (1, 0));
    assert_eq!(told.nodes[0].connections, 1, "the kept-alive one");
    assert_eq!(
        told.buckets
            .iter()
            .map(|b| (b.requests, b.open))
            .collect::<Vec<_>>(),
        [(1, 0)]
    );
    assert!(told.nodes[0].busy_us > 0);
}

#[tokio::test]
async fn connections_are_found_by_what_is_known_of_them() {
    let mut cluster = Cluster::start(3, HOOKS).await;
    let mut clients = Vec::new();
    for user in ["ann", "bob", "eve", "ann"] {
        let mut raw = Raw::connect(cluster.address()).await;
        raw.send(format!("GET /work HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\n\r\n"))
            .await;
        assert_eq!(raw.answer(false).await.status(), 200);
        clients.push(raw);
    }
    let (mut socket, _) = Raw::websocket(cluster.address(), "ann", "").await;
    socket.send(frame(0x81, true, b"hello")).await;
    socket.frame().await.unwrap();
    let find = async |filter: ConnectionFilter| cluster.ingress.connections(filter).await;
    let any = ConnectionFilter::default;

    let all = find(any()).await;
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(all.windows(2).all(|w| w[0].id <= w[1].id));
    let sockets: Vec<_> = all
        .iter()
        .filter(|c| c.kind == ConnectionKind::Websocket)
        .collect();
    assert_eq!(
        (sockets.len(), sockets[0].requests, sockets[0].switches),
        (1, 2, 0),
        "{sockets:?}"
    );
    assert!(
        all.iter()
            .all(|c| c.client.starts_with("127.0.0.1:") && !c.moving)
    );

    assert_eq!(
        find(ConnectionFilter {
            key: Some("ann".into()),
            ..any()
        })
        .await
        .len(),
        3
    );
    let session = Some(cluster.session("bob"));
    let bobs = find(ConnectionFilter { session, ..any() }).await;
    assert_eq!(bobs.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["bob"]);
    let id = Some(sockets[0].id);
    assert_eq!(find(ConnectionFilter { id, ..any() }).await, [sockets[0].clone()]);
    let pool = Some(cluster.pool.clone());
    assert_eq!(find(ConnectionFilter { pool, ..any() }).await.len(), 5);
    let pool = Some(foreshift_wire::PoolName::new("other").unwrap());
    assert!(find(ConnectionFilter { pool, ..any() }).await.is_empty());
    let mut by_node = 0;
    for n in 0..3 {
        let node = Some(common::node_id(n));
        let found = find(ConnectionFilter {
            node: node.clone(),
            ..any()
        })
        .await;
        assert!(found.iter().all(|c| Some(c.node.clone()) == node));
        by_node += found.len();
    }
    assert_eq!(by_node, 5);
    let limit = Some(2);
    let first = find(ConnectionFilter { limit, ..any() }).await;
    assert_eq!(first.len(), 2);

    let from = cluster.home("ann").await;
    cluster
        .migrate("ann", from, (from + 1) % 3)
        .await
        .expect("it moves");
    let moved = cluster.connections_of("ann").await;
    let socket = moved
        .iter()
        .find(|c| c.kind == ConnectionKind::Websocket)
        .unwrap();
    assert_eq!(
        (socket.node.clone(), socket.switches),
        (common::node_id((from + 1) % 3), 1)
    );
    drop(clients);
}
