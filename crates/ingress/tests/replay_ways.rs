//! State follows its session however that moves: with a hook, by its client, over TCP, over HTTP/2, and home after a node came back.

mod common;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use common::{
    Cluster, HOOKS, PATIENCE, node_id,
    raw::{Raw, RawNode},
    state::{StateNode, Store},
};
use foreshift_lab::{Backend, BackendOptions, Fault, Socket, SocketOptions, Step, Style};
use foreshift_wire::{IngressEvent, SessionId};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

const PUSH: &str = "replay_path = \"/replay\"\n";

async fn nodes(store: &Store) -> (Vec<StateNode>, Vec<SocketAddr>) {
    store.write("cart", "apples");
    let nodes = vec![StateNode::start(0, store).await, StateNode::start(1, store).await];
    let addresses = nodes.iter().map(|n| n.address).collect();
    (nodes, addresses)
}

fn owner(store: &Store, session: SessionId) -> foreshift_wire::NodeId {
    store.owner(session).expect("it is served").0
}

#[tokio::test]
async fn hook_and_kept_state_go_together_and_come_back_together() {
    let store = Store::default();
    let mut backends = Vec::new();
    for index in 0..2 {
        let name = node_id(index).to_string();
        let options = BackendOptions {
            name,
            ..BackendOptions::default()
        };
        backends.push(Backend::start(options).await.unwrap());
    }
    let addresses: Vec<_> = backends.iter().map(Backend::address).collect();
    let pool = format!("{HOOKS}migration_deadline = \"500ms\"\n");
    let state = Arc::new(store.clone());
    let mut cluster = Cluster::carrying("", &addresses, &pool, &["cart"], state).await;
    let session = cluster.session("ann");
    let mut socket = Socket::connect(&SocketOptions::new(cluster.address(), "ann"))
        .await
        .unwrap();
    for round in 0..6 {
        socket.send(b"hello", Style::Text).await.unwrap();
        socket.next().await.expect("an answer");
        let from = cluster.home("ann").await;
        let before = store.owner(session).unwrap();
        let fault = [None, Some(Fault::Refuse), Some(Fault::Stall)][round % 3];
        if let Some(fault) = fault {
            backends[1 - from].fail(Step::Resume, fault).await;
        }
        let moved = cluster.migrate("ann", from, 1 - from).await.is_ok();
        assert_eq!(moved, fault.is_none(), "{fault:?}");
        backends[1 - from].heal().await;
        let at = if moved { 1 - from } else { from };
        assert_eq!(cluster.home("ann").await, at);
        let after = store.owner(session).unwrap();
        assert_eq!(after.0, node_id(at), "{fault:?}");
        assert!(after.1 > before.1, "{fault:?}: {before:?} {after:?}");
    }
    let tally = socket.close().await;
    assert!(tally.is_clean(), "{tally:?}");
}

#[tokio::test]
async fn a_client_that_moves_by_itself_finds_its_state() {
    let store = Store::default();
    let (_nodes, addresses) = nodes(&store).await;
    let pool = format!("{PUSH}migration_strategy = \"client\"\nmigration_within = \"5s\"\n");
    let state = Arc::new(store.clone());
    let mut cluster = Cluster::carrying("", &addresses, &pool, &["cart"], state).await;
    let offer = "Sec-WebSocket-Protocol: foreshift.v1\r\n";
    let (mut old, _) = Raw::websocket(cluster.address(), "ann", offer).await;
    let from = cluster.home("ann").await;
    store.log.take();
    let id = cluster.order("ann", from, 1 - from).await;
    let text = old.text().await;
    let control: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{1e}')).unwrap();
    assert!(
        store.log.take().is_empty(),
        "nothing is carried before the client has come"
    );
    let token = control["token"].as_str().unwrap();
    let more = format!("{offer}Foreshift-Token: {token}\r\n");
    let (_new, answer) = Raw::websocket(cluster.address(), "ann", &more).await;
    assert_eq!(answer.status(), 101);
    cluster.outcome(id).await.expect("it moves");
    let to = 1 - from;
    assert_eq!(owner(&store, cluster.session("ann")), node_id(to));
    let lines = store.log.take();
    assert_eq!(
        lines[..3],
        [
            format!("n{to} is sent cart 1 since 0: apples"),
            format!("hand to n{to}"),
            format!("n{to} is asked /chat"),
        ]
    );
}

/// Answers each line by its number, until it is dropped.
fn echo(node: RawNode, index: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        loop {
            let mut raw = Raw::new(node.accept_any().await);
            open.spawn(async move {
                let mut byte = [0];
                while let Ok(1) = tokio::io::AsyncReadExt::read(&mut raw.stream, &mut byte).await {
                    if byte == *b"\n" {
                        raw.send(format!("n{index}\n")).await;
                    }
                }
            });
        }
    })
}

#[tokio::test]
async fn framed_connections_change_the_owner_when_they_move_and_when_their_node_dies() {
    let store = Store::default();
    let nodes = [RawNode::start().await, RawNode::start().await];
    let addresses = [nodes[0].address, nodes[1].address];
    let mut echoes = Vec::from(nodes)
        .into_iter()
        .enumerate()
        .map(|(n, node)| echo(node, n))
        .collect::<Vec<_>>();
    let listener = "protocol = \"tcp\"\nframing = \"line\"";
    let pool = "failover = \"resume\"\n";
    let state = Arc::new(store.clone());
    let mut cluster = Cluster::carrying(listener, &addresses, pool, &["cart"], state).await;
    let session = cluster.session("127.0.0.1");
    let mut client = Raw::connect(cluster.address()).await;
    client.send("one\n").await;
    let from: usize = String::from_utf8(client.take(3).await).unwrap()[1..2]
        .parse()
        .unwrap();
    let to = 1 - from;
    assert_eq!(owner(&store, session), node_id(from));
    cluster.migrate("127.0.0.1", from, to).await.expect("it moves");
    client.send("two\n").await;
    assert_eq!(client.take(3).await, format!("n{to}\n").as_bytes());
    assert_eq!(owner(&store, session), node_id(to));
    store.log.take();
    echoes.remove(to).abort();
    assert_eq!(store.log.until("hand").await, format!("hand to n{from}"));
    client.send("three\n").await;
    assert_eq!(client.take(3).await, format!("n{from}\n").as_bytes());
    assert_eq!(owner(&store, session), node_id(from));
}

#[tokio::test]
async fn over_http2_a_reign_is_told_and_a_revoked_session_refused() {
    let store = Store::default();
    let (nodes, addresses) = nodes(&store).await;
    let state = Arc::new(store.clone());
    let mut cluster = Cluster::carrying("", &addresses, "", &["cart"], state).await;
    let stream = tokio::net::TcpStream::connect(cluster.address()).await.unwrap();
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    let mut get = async || {
        let request = hyper::Request::get("http://a/work")
            .header("x-user", "ann")
            .header("foreshift-epoch", "7")
            .header("foreshift-resume-token", "x")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request))
            .await
            .unwrap()
            .unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let from: usize = get().await.1[1..].parse().unwrap();
    let to = 1 - from;
    let id = cluster.order("ann", from, to).await;
    while get().await.1 != format!("n{to}") {}
    cluster.outcome(id).await.expect("it moves");
    get().await;
    let epoch = store.owner(cluster.session("ann")).unwrap().1.to_string();
    let heads = nodes[to].heads();
    let field = |name: &str| -> Vec<_> { heads.iter().map(|h| h.field(name)).collect() };
    assert_eq!(field("foreshift-epoch"), vec![Some(epoch); 2]);
    assert_eq!(
        field("foreshift-resume-token"),
        [Some(format!("ticket-1-for-n{to}")), None]
    );
    assert!(
        nodes[from]
            .heads()
            .iter()
            .all(|h| h.field("foreshift-resume-token").is_none())
    );
    store.revoke(cluster.session("ann"));
    cluster.ingress.end_session(cluster.session("ann"));
    assert_eq!(get().await, (403, "this session was revoked\n".into()));
}

#[tokio::test]
async fn a_session_goes_home_with_its_state_when_its_node_is_back() {
    let store = Store::default();
    let (mut nodes, addresses) = nodes(&store).await;
    let state = Arc::new(store.clone());
    let mut cluster = Cluster::carrying("", &addresses, PUSH, &["cart"], state).await;
    let session = cluster.session("ann");
    let mut client = Raw::connect(cluster.address()).await;
    let get = "GET /work HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\r\n";
    client.send(get).await;
    let home: usize = client.answer(false).await.text()[1..].parse().unwrap();
    let other = 1 - home;
    nodes[home].kill();
    while tokio::net::TcpStream::connect(addresses[home]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    client.send(get).await;
    assert_eq!(client.answer(false).await.text(), format!("n{other}"));
    nodes[home] = StateNode::start_at(home, &store, addresses[home]).await;
    store.write("cart", "apples and pears");
    store.log.take();
    let moved = async {
        cluster
            .event(|event| match event {
                IngressEvent::HandedOver {
                    to, failure: None, ..
                } if to == node_id(home) => Some(()),
                _ => None,
            })
            .await;
    };
    let asks = async {
        // From the other node until it has moved, and never from a node that does not own it.
        loop {
            client.send(get).await;
            let at = client.answer(false).await.text();
            let (owner, _) = store.owner(session).unwrap();
            if at == format!("n{home}") {
                assert_eq!(owner, node_id(home));
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, async { tokio::join!(moved, asks) })
        .await
        .expect("it goes home");
    let lines = store.log.take();
    let at = |wanted: &str| {
        lines
            .iter()
            .position(|l| l.starts_with(wanted))
            .unwrap_or_else(|| panic!("{wanted} in {lines:?}"))
    };
    let sent = at(&format!("n{home} is sent cart 2"));
    let (hand, asked) = (at(&format!("hand to n{home}")), at(&format!("n{home} is asked")));
    assert!(sent < hand && hand < asked, "{lines:?}");
}
