//! What was acknowledged of sessions' state is there after the process was killed, ended, or replaced by another.

mod common;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use common::{
    foreshift::{Foreshift, free_address},
    load::PlainNode,
};
use rustix::process::Signal;

/// A configuration whose addresses stay the same from one process to the next.
fn config(node: &PlainNode, api: SocketAddr, state: SocketAddr) -> String {
    format!(
        "[api]\naddress = \"{api}\"\n[meta]\npath = \"meta.redb\"\n\
         [ingress]\nworkers = 1\ndrain_timeout = \"5s\"\n\
         [session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\naddress = \"{state}\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ header = \"x-user\" }}]\n\
         [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"{}\"\n",
        node.address
    )
}

/// A client of the state's address, which opens a connection for each request.
struct State {
    agent: ureq::Agent,
    key: String,
}

impl State {
    fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().proxy(None).max_idle_connections(0);
        let agent: ureq::Agent = config.timeout_global(Some(common::DEADLINE)).build().into();
        let made = agent
            .post(format!("http://{address}/v1/sessions"))
            .send_empty()
            .unwrap();
        let session = made.headers()["location"].to_str().unwrap();
        let key = format!("http://{address}{session}/partitions/counter/n");
        Self { agent, key }
    }

    fn set(&self, value: u32) -> Result<(), ureq::Error> {
        self.agent.put(&self.key).send(value.to_string()).map(drop)
    }

    fn get(&self) -> u32 {
        let mut answer = self.agent.get(&self.key).call().unwrap();
        answer.body_mut().read_to_string().unwrap().parse().unwrap()
    }
}

#[test]
fn every_acknowledged_write_is_there_after_the_process_was_killed_or_ended() {
    let node = PlainNode::start("a");
    let (api, state) = (free_address(), free_address());
    let mut foreshift = Foreshift::with_config(&config(&node, api, state));
    let client = State::new(state);
    for (round, signal) in [Signal::KILL, Signal::TERM, Signal::KILL].into_iter().enumerate() {
        let value = round as u32 + 1;
        client.set(value).unwrap();
        foreshift.process.signal(signal);
        foreshift.process.ended();
        // Nobody is there to be taken over from: it starts as usual.
        foreshift.process = foreshift.another();
        common::until("the new process is ready", || {
            foreshift.api.is_ok("/readyz").then_some(())
        });
        assert_eq!(client.get(), value, "{}", foreshift.process.printed());
    }
}

#[test]
fn a_new_process_takes_the_store_over_and_every_request_is_answered() {
    let node = PlainNode::start("a");
    let mut foreshift = Foreshift::with_config(&config(&node, free_address(), free_address()));
    let state = common::until("the log names the state's address", || {
        let log = foreshift.process.printed();
        let line = log
            .lines()
            .find(|line| line.contains("sessions' state is served"))?;
        line.split_once("address=")?.1.parse().ok()
    });
    let client = State::new(state);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut last = 0;
            while !over.load(Ordering::Relaxed) {
                client
                    .set(last + 1)
                    .unwrap_or_else(|error| panic!("after {last}: {error}"));
                last += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            last
        });
        for _ in 0..3 {
            foreshift.is_replaced();
            common::until("the new process is ready", || {
                foreshift.api.is_ok("/readyz").then_some(())
            });
        }
        over.store(true, Ordering::Relaxed);
        let last = writer.join().unwrap();
        assert!(last > 3, "{last} writes");
        assert_eq!(client.get(), last);
    });
}

#[test]
fn where_the_new_process_fails_the_old_one_opens_the_store_again() {
    let node = PlainNode::start("a");
    let (api, state) = (free_address(), free_address());
    let mut foreshift = Foreshift::with_config(&config(&node, api, state));
    let client = State::new(state);
    client.set(7).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[[listener]]\nname = \"more\"\naddress = \"{}\"\npool = \"app\"\n",
        taken.local_addr().unwrap()
    );
    foreshift.rewrite(&(config(&node, api, state) + &more));
    let mut new = foreshift.another();
    assert!(!new.ended().success());
    let printed = new.printed_at_end();
    assert!(printed.contains("taking over"), "{printed}");
    assert_eq!(client.get(), 7);
    client.set(8).unwrap();
    assert_eq!(client.get(), 8);
    assert!(foreshift.process.has_ended().is_none());
}
