//! TCP connections are relayed whole, in both directions, and stay with their node.

mod common;

use std::time::{Duration, Instant};

use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode},
};
use foreshift_wire::{ConnectionFilter, ConnectionKind};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const TCP: &str = "protocol = \"tcp\"";

async fn start<const N: usize>(listener: &str) -> ([RawNode; N], Cluster) {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(RawNode::start().await);
    }
    let nodes: [RawNode; N] = nodes.try_into().ok().expect("so many were made");
    let addresses: Vec<_> = nodes.iter().map(|n| n.address).collect();
    let cluster = Cluster::listening(&format!("{TCP}\n{listener}"), &addresses, "", "").await;
    (nodes, cluster)
}

/// The next connection to any of two nodes.
async fn accept(nodes: &[RawNode; 2]) -> (usize, Raw) {
    tokio::select! {
        raw = nodes[0].accept() => (0, raw),
        raw = nodes[1].accept() => (1, raw),
    }
}

/// Bytes that repeat after a prime number of them, so that none can be lost, doubled or swapped unnoticed.
fn pattern(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..1_000_003).map(next).collect()
}

const BULK: usize = 100 * 1000 * 1000;

async fn send(mut to: impl AsyncWrite + Unpin, pattern: &[u8]) {
    let mut sent = 0;
    while sent < BULK {
        let part = &pattern[sent % pattern.len()..];
        let n = to
            .write(&part[..part.len().min(BULK - sent)])
            .await
            .expect("it is read");
        sent += n;
    }
    to.shutdown().await.expect("it is open");
}

async fn receive(mut from: impl AsyncRead + Unpin, pattern: &[u8]) {
    let mut received = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = from.read(&mut buffer).await.expect("it is sent");
        if n == 0 {
            return assert_eq!(received, BULK);
        }
        let mut at = 0;
        while at < n {
            let expected = &pattern[received % pattern.len()..];
            let part = expected.len().min(n - at);
            assert!(
                buffer[at..at + part] == expected[..part],
                "within {part} bytes of {received}"
            );
            (at, received) = (at + part, received + part);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_whole_in_both_directions_at_once() {
    let ([node], cluster) = start::<1>("").await;
    let client = TcpStream::connect(cluster.address()).await.unwrap();
    let at_node = node.accept().await.stream;
    let (up, down) = (pattern(7), pattern(11));
    let (client_reads, client_writes) = client.into_split();
    let (node_reads, node_writes) = at_node.into_split();
    let all = async {
        tokio::join!(
            send(client_writes, &up),
            receive(node_reads, &up),
            send(node_writes, &down),
            receive(client_reads, &down)
        )
    };
    timeout(PATIENCE, all).await.expect("it does not stall");
    let report = cluster.ingress.report().await;
    let node = &report.pools[0].nodes[0];
    assert_eq!((node.bytes, node.requests, node.errors), (2 * BULK as u64, 1, 0));
    let buckets: u64 = report.pools[0].buckets.iter().map(|b| b.bytes).sum();
    assert_eq!(buckets, 2 * BULK as u64);
    assert_eq!(report.pools[0].keys[0].bytes, 2 * BULK as u64);
}

#[tokio::test]
async fn each_side_may_end_before_the_other() {
    let ([node], cluster) = start::<1>("").await;
    for node_first in [false, true] {
        let client = Raw::connect(cluster.address()).await;
        let at_node = node.accept().await;
        let (mut first, mut second) = if node_first {
            (at_node, client)
        } else {
            (client, at_node)
        };
        first.send("question").await;
        first.stream.shutdown().await.unwrap();
        assert_eq!(second.until_closed().await, b"question");
        second.send("answer, a while later").await;
        drop(second);
        assert_eq!(first.until_closed().await, b"answer, a while later");
    }
    while !cluster
        .ingress
        .connections(ConnectionFilter::default())
        .await
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_reader_slows_its_writer_and_loses_nothing() {
    let ([node], cluster) = start::<1>("").await;
    let client = Raw::connect(cluster.address()).await;
    let at_node = node.accept().await;
    let mut sent = 0;
    let chunk = vec![b'x'; 64 * 1024];
    // Until the whole way is full.
    while timeout(Duration::from_millis(300), client.stream.writable())
        .await
        .is_ok()
    {
        match client.stream.try_write(&chunk) {
            Ok(n) => sent += n,
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(sent < 200 << 20, "nobody holds it back");
    }
    let mut at_node = at_node.stream;
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        at_node.read_to_end(&mut all).await.map(|_| all)
    });
    drop(client);
    let all = timeout(PATIENCE, reading).await.unwrap().unwrap().unwrap();
    assert_eq!(all.len(), sent);
}

#[tokio::test]
async fn a_node_that_dies_ends_its_connections_and_others_take_the_next() {
    let (nodes, cluster) = start::<2>("").await;
    let mut client = Raw::connect(cluster.address()).await;
    let (at, at_node) = accept(&nodes).await;
    let [first, second] = nodes;
    let (dead, other) = if at == 0 { (first, second) } else { (second, first) };
    drop((dead, at_node));
    client.closes().await;
    let mut client = Raw::connect(cluster.address()).await;
    let mut at_node = other.accept().await;
    client.send("hello").await;
    assert_eq!(at_node.take(5).await, b"hello");
}

#[tokio::test]
async fn an_open_connection_stays_and_the_next_goes_where_the_key_lives_now() {
    let (nodes, mut cluster) = start::<2>("").await;
    let mut client = Raw::connect(cluster.address()).await;
    let (from, mut old) = accept(&nodes).await;
    let listed = cluster.connections_of("127.0.0.1").await;
    assert_eq!(listed[0].kind, ConnectionKind::Tcp);
    assert_eq!(cluster.migrate("127.0.0.1", from, 1 - from).await, Ok(vec![]));
    client.send("still").await;
    assert_eq!(old.take(5).await, b"still");
    let mut next = Raw::connect(cluster.address()).await;
    let mut new = nodes[1 - from].accept().await;
    new.send("here").await;
    assert_eq!(next.take(4).await, b"here");
    assert_eq!(cluster.connections_of("127.0.0.1").await.len(), 2);
}

#[tokio::test]
async fn a_connection_ends_at_its_age_when_it_is_quiet() {
    let ([node], cluster) = start::<1>("max_connection_age = \"500ms\"").await;
    let mut client = Raw::connect(cluster.address()).await;
    let begun = Instant::now();
    let mut at_node = node.accept().await;
    client.send("hello").await;
    assert_eq!(at_node.take(5).await, b"hello");
    at_node.send("and back").await;
    assert_eq!(client.take(8).await, b"and back");
    client.closes().await;
    at_node.closes().await;
    assert!(
        begun.elapsed() >= Duration::from_millis(450),
        "{:?}",
        begun.elapsed()
    );
}
