//! State that a service keeps in the session store follows its session to another node, and outlives a node that dies.

mod common;

use std::time::Duration;

use common::{
    foreshift::{Foreshift, config, free_address},
    until,
};
use foreshift_lab::{Answer, Backend, BackendOptions, Socket, SocketOptions, Style};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::timeout};

const POOL: &str = "mode = \"act\"\nfailover = \"resume\"\nreplay_path = \"/state\"\nhealth = { interval = \"500ms\", timeout = \"500ms\", rise = 1, fall = 2 }";

/// A client whose counter must go on, wherever it is.
struct Client {
    socket: Socket,
    last: Option<Answer>,
}

impl Client {
    /// Sends until there is an answer; more often than once only where `may_lose`.
    async fn work(&mut self, may_lose: bool) -> Answer {
        loop {
            self.socket
                .send(b"", Style::Text)
                .await
                .expect("the socket is open");
            match timeout(
                Duration::from_secs(if may_lose { 1 } else { 30 }),
                self.socket.next(),
            )
            .await
            {
                Ok(answer) => return self.take(answer.expect("the socket stays open").0),
                Err(_) => assert!(may_lose, "no answer"),
            }
        }
    }

    fn take(&mut self, answer: Answer) -> Answer {
        if let Some(last) = self.last.replace(answer.clone()) {
            assert_eq!(answer.epoch, last.epoch, "the state began anew: {answer:?}");
            assert!(answer.count > last.count, "{last:?} then {answer:?}");
        }
        answer
    }
}

fn backend(runtime: &Runtime, name: &str, store: std::net::SocketAddr) -> Backend {
    let options = BackendOptions {
        name: name.into(),
        store: Some(store),
        ..BackendOptions::default()
    };
    runtime
        .block_on(Backend::start(options))
        .expect("loopback has free ports")
}

#[test]
fn a_counter_and_a_cart_follow_their_session_and_outlive_their_node() {
    let runtime = Runtime::new().unwrap();
    let store = free_address();
    let mut backends: Vec<_> = ["a", "b", "c"].map(|name| backend(&runtime, name, store)).into();
    let mut text = config(free_address(), free_address(), &[], POOL);
    for backend in &backends {
        text += &format!(
            "[[pool.node]]\nid = \"{}\"\naddress = \"{}\"\nrequired_partitions = [\"game\", \"cart\"]\n",
            backend.name(),
            backend.address()
        );
    }
    text +=
        &format!("[session]\naddress = \"{store}\"\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\n");
    let foreshift = Foreshift::with_config(&text);
    until("all nodes are ready", || {
        let (_, pool) = foreshift.api.get("/v1/pools/app");
        let nodes = pool["nodes"].as_array().cloned().unwrap_or_default();
        (nodes.len() == 3 && nodes.iter().all(|n| n["observed_state"] == "ready")).then_some(())
    });
    // A socket that opens while buckets settle may be on another node than the map says; then there is nothing to move by a pin.
    let mut client = until("a socket is where the map says", || {
        let options = SocketOptions::new(foreshift.web, "ada");
        let socket = runtime.block_on(Socket::connect(&options)).unwrap();
        let mut client = Client { socket, last: None };
        let node = runtime.block_on(client.work(false)).node;
        let (_, affinity) = foreshift.api.get("/v1/pools/app/affinity/ada");
        (affinity["node"] == node.as_str()).then_some(client)
    });
    let begun = client.last.as_ref().map_or(0, |answer| answer.count);
    for count in begun + 1..=begun + 20 {
        assert_eq!(runtime.block_on(client.work(false)).count, count);
    }

    // To another node, with nothing lost.
    let from = client.last.as_ref().map(|l| l.node.clone()).unwrap();
    let to = if from == "a" { "b" } else { "a" };
    let (status, body) = foreshift
        .api
        .put("/v1/pools/app/affinity/ada", &json!({ "node": to }));
    assert!((200..300).contains(&status), "{status} {body}");
    until("it is moved", || {
        (runtime.block_on(client.work(false)).node == to).then_some(())
    });
    assert!(client.socket.tally().is_clean(), "{:?}", client.socket.tally());
    let (_, stats) = foreshift.api.get("/v1/sessions/stats");
    let sent = |name: &str| {
        let of = |p: &&Value| p["name"] == name;
        let partitions = stats["partitions"].as_array().into_iter().flatten();
        partitions
            .clone()
            .find(of)
            .map_or(0, |p| p["replay"]["bytes_sent"].as_u64().unwrap())
    };
    assert!(sent("game") > 0 && sent("cart") > 0, "{stats}");
    assert_eq!(sent("profile"), 0, "{stats}");
    assert!(stats["bytes_not_required"].as_u64() >= Some(4096), "{stats}");

    // Its node dies: another one goes on from what was stored before each answer.
    let dead = backends.iter().position(|b| b.name() == to).unwrap();
    runtime.block_on(backends.remove(dead).kill());
    assert_ne!(runtime.block_on(client.work(true)).node, to);
    for backend in &backends {
        assert_eq!(backend.stats().carts_lost, 0, "{}", backend.name());
    }
}
