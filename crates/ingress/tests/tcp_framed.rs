//! An open TCP connection changes its node between two exchanges, and the client notices nothing.

mod common;

use std::net::SocketAddr;

use common::{
    Cluster, PATIENCE,
    raw::{Raw, RawNode},
};
use foreshift_wire::{ConnectionKind, MoveFailure, NodeState};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

const KEY: &str = "127.0.0.1";
const LINES: &str = "protocol = \"tcp\"\nframing = \"line\"";

/// Answers each line by its name and the line.
struct Echo {
    address: SocketAddr,
    /// Ends with the value, connections and listener both, as a process does.
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start(name: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(echo(stream, name));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn echo(mut stream: TcpStream, name: usize) {
    stream.set_nodelay(true).unwrap();
    let (reads, mut writes) = stream.split();
    let mut lines = BufReader::new(reads).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if writes
            .write_all(format!("{name} {line}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn echoes(pool: &str) -> (Vec<Option<Echo>>, Cluster) {
    let nodes = [Echo::start(0).await, Echo::start(1).await];
    let addresses = [nodes[0].address, nodes[1].address];
    let cluster = Cluster::listening(LINES, &addresses, pool, "").await;
    (nodes.into_iter().map(Some).collect(), cluster)
}

async fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = timeout(PATIENCE, client.read_line(&mut line)).await;
    read.expect("an answer").expect("it is open");
    line.trim_end().to_owned()
}

async fn ask(client: &mut BufReader<TcpStream>, question: &str) -> String {
    client
        .write_all(format!("{question}\n").as_bytes())
        .await
        .unwrap();
    line(client).await
}

#[tokio::test]
async fn twenty_switches_under_load_lose_nothing_and_keep_the_order() {
    let (_nodes, mut cluster) = echoes("").await;
    let client = TcpStream::connect(cluster.address()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (reads, mut writes) = client.into_split();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let window = std::sync::Arc::new(tokio::sync::Semaphore::new(50));
    let permits = window.clone();
    let writing = tokio::spawn(async move {
        let mut n = 0_u64;
        while stopped.try_recv().is_err() {
            permits.acquire().await.unwrap().forget();
            // In pieces, so that frames are cut anywhere.
            let text = format!("question {n}\n");
            let (first, second) = text.split_at(n as usize % text.len());
            writes.write_all(first.as_bytes()).await.unwrap();
            writes.write_all(second.as_bytes()).await.unwrap();
            n += 1;
        }
        writes.shutdown().await.unwrap();
        n
    });
    let reading = tokio::spawn(async move {
        let mut lines = BufReader::new(reads).lines();
        let (mut n, mut served) = (0_u64, [0_u64; 2]);
        while let Some(line) = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
            let (node, rest) = line.split_once(' ').unwrap();
            assert_eq!(rest, format!("question {n}"));
            served[node.parse::<usize>().unwrap()] += 1;
            window.add_permits(1);
            n += 1;
        }
        (n, served)
    });
    while cluster
        .connections_of(KEY)
        .await
        .first()
        .is_none_or(|c| c.requests < 10)
    {
        tokio::task::yield_now().await;
    }
    for switch in 0..20 {
        let from = cluster.home(KEY).await;
        let pauses = cluster.migrate(KEY, from, 1 - from).await;
        assert_eq!(pauses.map(|p| p.len()), Ok(1), "{switch}");
        let before = cluster.connections_of(KEY).await[0].requests;
        while cluster.connections_of(KEY).await[0].requests < before + 10 {
            tokio::task::yield_now().await;
        }
    }
    let listed = cluster.connections_of(KEY).await;
    assert_eq!(
        (listed[0].switches, listed[0].kind),
        (20, ConnectionKind::TcpFramed)
    );
    stop.send(()).unwrap();
    let sent = timeout(PATIENCE, writing).await.unwrap().unwrap();
    let (answered, served) = timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert_eq!(answered, sent);
    assert!(served[0] > 10 && served[1] > 10, "{served:?}");
    let report = cluster.ingress.report().await;
    let counted: u64 = report.pools[0].nodes.iter().map(|n| n.requests).sum();
    let under_way: u32 = report.pools[0].nodes.iter().map(|n| n.in_flight).sum();
    assert_eq!((counted, under_way), (sent, 0));
}

/// A connection to the test's own nodes, and which of them has it.
async fn connect(framing: &str, pool: &str) -> ([RawNode; 2], Cluster, Raw, usize, Raw) {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let addresses = [nodes[0].address, nodes[1].address];
    let listener = format!("protocol = \"tcp\"\nframing = {framing}");
    let cluster = Cluster::listening(&listener, &addresses, pool, "").await;
    let client = Raw::connect(cluster.address()).await;
    let (from, at_node) = tokio::select! {
        raw = nodes[0].accept() => (0, raw),
        raw = nodes[1].accept() => (1, raw),
    };
    (nodes, cluster, client, from, at_node)
}

#[tokio::test]
async fn a_switch_waits_for_the_answers_and_takes_half_a_frame_along_whole() {
    let (nodes, mut cluster, mut client, from, mut old) = connect("{ length_prefix = 4 }", "").await;
    client.send(b"\0\0\0\x02ab\0\0\0\x01c\0\0\0\x03d").await;
    assert_eq!(old.take(12).await, b"\0\0\0\x02ab\0\0\0\x01c\0");
    let id = cluster.order(KEY, from, 1 - from).await;
    let mut new = nodes[1 - from].accept().await;
    // The frame that the old node has begun with is still the old node's.
    assert_eq!(old.take(4).await, b"\0\0\x03d");
    client.send(b"ef").await;
    assert_eq!(old.take(2).await, b"ef");
    old.send(b"\0\0\0\x01A\0\0\0\x01B\0\0\0\x02C").await;
    assert_eq!(client.take(15).await, b"\0\0\0\x01A\0\0\0\x01B\0\0\0\x02C");
    old.send(b"D").await;
    assert_eq!(client.take(1).await, b"D");
    cluster.outcome(id).await.expect("it moves");
    client.send(b"\0\0\0\x02gh").await;
    assert_eq!(new.take(6).await, b"\0\0\0\x02gh");
    old.closes().await;
    new.send(b"\0\0\0\0").await;
    assert_eq!(client.take(4).await, b"\0\0\0\0");
}

#[tokio::test]
async fn a_switch_whose_answer_does_not_come_fails_and_nothing_changes() {
    let pool = "migration_deadline = \"300ms\"";
    let (_nodes, mut cluster, mut client, from, mut old) = connect("\"line\"", pool).await;
    client.send("slow\n").await;
    assert_eq!(old.take(5).await, b"slow\n");
    let id = cluster.order(KEY, from, 1 - from).await;
    let failure = cluster.outcome(id).await.unwrap_err();
    assert!(matches!(failure, MoveFailure::Deadline { .. }), "{failure:?}");
    client.send("next\n").await;
    assert_eq!(old.take(5).await, b"next\n");
    old.send("1\n2\n").await;
    assert_eq!(client.take(4).await, b"1\n2\n");
}

#[tokio::test]
async fn a_node_that_speaks_unasked_keeps_its_connection_and_the_move_says_why() {
    let (_nodes, mut cluster, mut client, from, mut old) = connect("\"line\"", "").await;
    old.send("220 welcome\n").await;
    assert_eq!(client.take(12).await, b"220 welcome\n");
    let id = cluster.order(KEY, from, 1 - from).await;
    let failure = cluster.outcome(id).await.unwrap_err();
    assert!(
        matches!(&failure, MoveFailure::Unmovable { detail } if detail.contains("not asked")),
        "{failure:?}"
    );
    client.send("EHLO\n").await;
    assert_eq!(old.take(5).await, b"EHLO\n");
}

#[tokio::test]
async fn what_set_a_redis_connection_up_is_told_to_the_next_node() {
    let (nodes, mut cluster, mut client, from, mut old) = connect("\"resp\"", "").await;
    for (command, answer) in [
        ("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", "+OK\r\n"),
        ("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nx\r\n", "+OK\r\n"),
        ("*2\r\n$6\r\nSELECT\r\n$2\r\n99\r\n", "-ERR out of range\r\n"),
        ("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", "%1\r\n+proto\r\n:3\r\n"),
    ] {
        client.send(command).await;
        assert_eq!(old.take(command.len()).await, command.as_bytes());
        old.send(answer).await;
        assert_eq!(client.take(answer.len()).await, answer.as_bytes());
    }
    let id = cluster.order(KEY, from, 1 - from).await;
    let mut new = nodes[1 - from].accept().await;
    for (command, answer) in [
        ("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", "%1\r\n+proto\r\n:3\r\n"),
        ("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", "+OK\r\n"),
        ("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nx\r\n", "+OK\r\n"),
    ] {
        assert_eq!(new.take(command.len()).await, command.as_bytes());
        new.send(answer).await;
    }
    cluster.outcome(id).await.expect("it moves");
    client.send("PING\r\n").await;
    assert_eq!(new.take(6).await, b"PING\r\n");
    new.send("+PONG\r\n").await;
    assert_eq!(client.take(7).await, b"+PONG\r\n");
}

#[tokio::test]
async fn a_redis_transaction_ends_where_it_began() {
    let (nodes, mut cluster, mut client, from, mut old) = connect("\"resp\"", "").await;
    client.send("MULTI\r\nINCR a\r\n").await;
    old.take(15).await;
    old.send("+OK\r\n+QUEUED\r\n").await;
    let id = cluster.order(KEY, from, 1 - from).await;
    let mut new = nodes[1 - from].accept().await;
    client.send("EXEC\r\n").await;
    assert_eq!(old.take(6).await, b"EXEC\r\n");
    old.send("*1\r\n:1\r\n").await;
    cluster.outcome(id).await.expect("it moves");
    client.send("GET a\r\n").await;
    assert_eq!(new.take(7).await, b"GET a\r\n");
    old.closes().await;
    new.send("$1\r\n1\r\n").await;
    let answers = "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n$1\r\n1\r\n";
    assert_eq!(client.take(answers.len()).await, answers.as_bytes());
}

#[tokio::test]
async fn a_subscriber_stays_and_the_move_says_why() {
    let (_nodes, mut cluster, mut client, from, mut old) = connect("\"resp\"", "").await;
    client.send("SUBSCRIBE news\r\n").await;
    old.take(16).await;
    let pushed =
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n";
    old.send(pushed).await;
    assert_eq!(client.take(pushed.len()).await, pushed.as_bytes());
    let id = cluster.order(KEY, from, 1 - from).await;
    let failure = cluster.outcome(id).await.unwrap_err();
    assert!(
        matches!(&failure, MoveFailure::Unmovable { detail } if detail.contains("subscribes")),
        "{failure:?}"
    );
    old.send(pushed).await;
    assert_eq!(client.take(pushed.len()).await, pushed.as_bytes());
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_connection() {
    let node = RawNode::start().await;
    let listener = "protocol = \"tcp\"\nframing = { length_prefix = 4 }";
    let cluster = Cluster::listening(
        listener,
        &[node.address],
        "",
        "[ingress.limits]\nmessage_bytes = 1000",
    )
    .await;
    let mut client = Raw::connect(cluster.address()).await;
    node.accept().await;
    client.send(b"\0\0\x04\0").await;
    client.closes().await;
}

#[tokio::test]
async fn between_exchanges_another_node_goes_on_for_a_dead_one() {
    let (mut nodes, mut cluster) = echoes("failover = \"resume\"").await;
    let mut client = BufReader::new(TcpStream::connect(cluster.address()).await.unwrap());
    let first = ask(&mut client, "one").await;
    let at: usize = first[..1].parse().unwrap();
    assert_eq!(first, format!("{at} one"));
    let dead = nodes[at].take().unwrap();
    let address = dead.address;
    drop(dead);
    let to = cluster
        .event(|event| match event {
            foreshift_wire::IngressEvent::FailedOver { to, .. } => Some(to),
            _ => None,
        })
        .await;
    assert_eq!(to, Some(common::node_id(1 - at)));
    assert_eq!(ask(&mut client, "two").await, format!("{} two", 1 - at));
    cluster.set_state(at, address, NodeState::Down).await;
    assert_eq!(ask(&mut client, "three").await, format!("{} three", 1 - at));
}

#[tokio::test]
async fn with_an_answer_outstanding_a_dead_node_takes_the_connection_along() {
    for pool in ["failover = \"resume\"", ""] {
        let (nodes, _cluster, mut client, from, mut old) = connect("\"line\"", pool).await;
        client.send("a\nb\n").await;
        old.take(4).await;
        old.send("1\n").await;
        let [first, second] = nodes;
        let (dead, other) = if from == 0 {
            (first, second)
        } else {
            (second, first)
        };
        drop((dead, old));
        assert_eq!(client.until_closed().await, b"1\n");
        assert!(other.is_left_alone());
    }
}

#[tokio::test]
async fn a_client_that_has_ended_still_gets_its_answers() {
    let (_nodes, _cluster, mut client, _, mut old) = connect("\"line\"", "").await;
    client.send("a\nb\n").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(old.until_closed().await, b"a\nb\n");
    old.send("1\n2\n").await;
    drop(old);
    assert_eq!(client.until_closed().await, b"1\n2\n");
}
