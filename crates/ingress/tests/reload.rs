//! A new configuration is taken over while connections stay open.

mod common;

use std::net::SocketAddr;

use common::{
    Cluster, node_id,
    raw::{Raw, RawNode, frame},
    record,
};
use foreshift_meta::Txn;
use foreshift_wire::{Config, NodeState, PoolName};

fn listener(name: &str, pool: &str) -> foreshift_wire::Listener {
    let text = format!(
        "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\npool = \"{pool}\"\n\
         [[pool]]\nname = \"{pool}\"\n"
    );
    Config::parse(&text).unwrap().listener.remove(0)
}

fn pool(name: &str) -> foreshift_wire::Pool {
    let text = format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"{name}\"\n[[pool]]\nname = \"{name}\"\n"
    );
    Config::parse(&text).unwrap().pool.remove(0)
}

async fn take_over(cluster: &Cluster, config: &Config) -> Vec<(String, SocketAddr)> {
    let prepared = cluster.ingress.prepare(config).unwrap();
    cluster.ingress.apply(prepared).await.unwrap()
}

/// A request over a connection that stays open.
async fn get(client: &mut Raw, padding: usize) -> u16 {
    let padding = "x".repeat(padding);
    client
        .send(format!(
            "GET /work HTTP/1.1\r\nHost: a\r\nX-User: ann\r\nX-Padding: {padding}\r\n\r\n"
        ))
        .await;
    client.answer(false).await.status()
}

#[tokio::test]
async fn the_next_request_of_an_open_connection_finds_the_new_limits() {
    let cluster = Cluster::start(1, "").await;
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut client, 4000).await, 200);
    let mut config = cluster.config.clone();
    config.ingress.limits.header_bytes = 2048;
    take_over(&cluster, &config).await;
    assert_eq!(get(&mut client, 10).await, 200);
    assert_eq!(get(&mut client, 4000).await, 431);
}

#[tokio::test]
async fn a_listener_comes_and_goes_and_keeps_who_came_in_by_it() {
    let cluster = Cluster::start(1, "").await;
    let mut config = cluster.config.clone();
    config.listener.push(listener("more", "app"));
    let opened = take_over(&cluster, &config).await;
    let [(name, address)] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_eq!(name, "more");
    let mut client = Raw::connect(*address).await;
    assert_eq!(get(&mut client, 0).await, 200);

    take_over(&cluster, &cluster.config).await;
    let refused = async {
        while let Ok(stream) = tokio::net::TcpStream::connect(address).await {
            drop(stream);
        }
    };
    tokio::time::timeout(common::PATIENCE, refused).await.unwrap();
    assert_eq!(get(&mut client, 0).await, 200, "it came in before");
    assert_eq!(cluster.ingress.addresses().len(), 1);
}

#[tokio::test]
async fn a_new_pool_serves_and_a_listener_changes_to_it_for_who_comes_then() {
    let cluster = Cluster::start(1, "").await;
    let other = RawNode::start().await;
    let name = PoolName::new("other").unwrap();
    let txn = Txn::new().put_node(&name, &record(7, other.address, NodeState::Ready));
    cluster.meta.commit(txn).await.unwrap();
    let mut before = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut before, 0).await, 200);

    let mut config = cluster.config.clone();
    config.pool.push(pool("other"));
    config.listener[0].pool = name.clone();
    take_over(&cluster, &config).await;

    let (mut socket, mut node) = {
        let serve = async {
            let mut node = other.accept().await;
            node.agree("").await;
            node
        };
        let ((socket, _), node) = tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
        (socket, node)
    };
    socket.send(frame(0x81, true, b"hello")).await;
    assert_eq!(node.text().await, "hello");
    let open = cluster.ingress.connections(Default::default()).await;
    assert!(
        open.iter().any(|c| c.pool == name && c.node == node_id(7)),
        "{open:?}"
    );
    assert!(cluster.ingress.serves(name).await);
    assert_eq!(
        get(&mut before, 0).await,
        200,
        "it stays with the pool that it came to"
    );
}

#[tokio::test]
async fn what_cannot_be_listened_on_changes_nothing() {
    let cluster = Cluster::start(1, "").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = cluster.config.clone();
    config.ingress.limits.header_bytes = 2048;
    config.listener.push(foreshift_wire::Listener {
        address: taken.local_addr().unwrap(),
        ..listener("taken", "app")
    });
    let error = cluster.ingress.prepare(&config).unwrap_err();
    assert_eq!(error.key().as_deref(), Some("listener[1].address"));
    let mut client = Raw::connect(cluster.address()).await;
    assert_eq!(get(&mut client, 4000).await, 200);
}

#[tokio::test]
async fn another_balance_factor_fills_the_buckets_anew() {
    let cluster = Cluster::start(3, "balance_factor = 10.0").await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Raw::connect(cluster.address()).await;
        assert_eq!(get(&mut client, 0).await, 200);
        clients.push(client);
    }
    let mut config = cluster.config.clone();
    config.pool[0].balance_factor = 1.05;
    take_over(&cluster, &config).await;
    for client in &mut clients {
        assert_eq!(get(client, 0).await, 200);
    }
}
