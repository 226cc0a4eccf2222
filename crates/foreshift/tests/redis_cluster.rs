//! A Redis Cluster of six servers carries sessions' state through a killed primary: what the program acknowledged is there.

mod common;
#[path = "../../store/tests/common"]
#[allow(dead_code, reason = "the store's own tests use all of it")]
mod servers {
    pub(crate) mod cluster;
    pub(crate) mod redis;
}

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use common::{
    foreshift::{Foreshift, free_address},
    load::PlainNode,
};
use servers::{
    cluster::Cluster,
    redis::{ask, is_installed, text, until},
};

/// Sessions of each writer; together enough that some are on the server that is killed.
const SESSIONS: usize = 8;
const WRITERS: usize = 4;

/// The program's addresses for state.
#[derive(Clone)]
struct State {
    http: String,
    view: String,
    agent: ureq::Agent,
}

impl State {
    fn create(&self) -> String {
        let made = self.agent.post(format!("{}/v1/sessions", self.http)).send_empty();
        let made = made.expect("a session");
        let at = made.headers()["location"].to_str().expect("text");
        at.rsplit('/').next().expect("an id").to_owned()
    }

    fn key(&self, session: &str, key: u64) -> String {
        format!("{}/v1/sessions/{session}/partitions/cart/{key}", self.http)
    }

    fn view(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.view.as_str())?.get_connection()
    }
}

/// Writes keys of its own sessions one after the other until it is stopped; each that was acknowledged.
fn writer(
    state: State,
    over_http: bool,
    stops: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> JoinHandle<Vec<(String, u64)>> {
    thread::spawn(move || {
        let sessions: Vec<_> = (0..SESSIONS).map(|_| state.create()).collect();
        let (mut acknowledged, mut view) = (Vec::new(), None);
        for (session, key) in sessions.iter().cycle().zip(0..) {
            if stops.load(Ordering::SeqCst) {
                break;
            }
            let is_done = if over_http {
                state
                    .agent
                    .put(state.key(session, key))
                    .send(key.to_string())
                    .is_ok()
            } else {
                set(&state, &mut view, session, key).is_ok()
            };
            if is_done {
                acknowledged.push((session.clone(), key));
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        acknowledged
    })
}

/// Writes over the Redis view; over a new connection after an error.
fn set(
    state: &State,
    view: &mut Option<redis::Connection>,
    session: &str,
    key: u64,
) -> redis::RedisResult<()> {
    let mut connection = match view.take() {
        Some(connection) => connection,
        None => state.view()?,
    };
    let mut command = redis::cmd("HSET");
    command.arg(format!("{{{session}}}:cart")).arg(key).arg(key);
    let added: u64 = command.query(&mut connection)?;
    assert_eq!(added, 1, "no key is written twice");
    *view = Some(connection);
    Ok(())
}

/// Waits until every writer was acknowledged some more.
async fn all_go_on(counts: &[Arc<AtomicU64>]) {
    let now = |count: &Arc<AtomicU64>| count.load(Ordering::SeqCst);
    let before: Vec<_> = counts.iter().map(now).collect();
    // Each of its sessions once at least, also one that waits for its server.
    let more = 2 * SESSIONS as u64;
    until("writes go on", async || {
        let mut all = counts.iter().zip(&before);
        all.all(|(count, before)| now(count) >= before + more)
    })
    .await;
}

fn start(cluster: &Cluster) -> (Foreshift, State) {
    let (node, http, view) = (PlainNode::start("a"), free_address(), free_address());
    let urls = cluster.session().urls;
    let foreshift = Foreshift::with_config(&format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n\
         [session]\nengine = \"redis\"\ncluster = true\nwait_replicas = 1\nurls = {urls:?}\n\
         key_file = \"session.keys\"\naddress = \"{http}\"\nredis_view = \"{view}\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"{}\"\n",
        node.address
    ));
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(common::DEADLINE));
    let state = State {
        http: format!("http://{http}"),
        view: format!("redis://{view}"),
        agent: config.build().into(),
    };
    (foreshift, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_takes_nothing_along_that_was_acknowledged() {
    if !is_installed() {
        return;
    }
    let mut cluster = Cluster::start(2_000).await;
    let (_foreshift, state) = start(&cluster);
    let stops = Arc::<AtomicBool>::default();
    let counts: Vec<_> = (0..WRITERS).map(|_| Arc::<AtomicU64>::default()).collect();
    let begin = |(n, count): (usize, &Arc<AtomicU64>)| {
        writer(state.clone(), n % 2 == 0, stops.clone(), count.clone())
    };
    let writers: Vec<_> = counts.iter().enumerate().map(begin).collect();
    all_go_on(&counts).await;

    let mut first = cluster.servers[0].connect().await;
    let sessions = text(&ask(&mut first, &["info", "keyspace"]).await);
    assert!(
        sessions.contains("db0:keys="),
        "it has none of them: {sessions:?}"
    );
    cluster.servers[0].kill();
    until("its replica takes over", async || {
        let mut to = cluster.servers[3].connect().await;
        text(&ask(&mut to, &["info", "replication"]).await).contains("role:master")
    })
    .await;
    // Without a replica nothing is acknowledged there; the killed one comes back as such, with nothing of its own.
    cluster.servers[0].run().await;
    until("it has a replica again", async || cluster.leads(3).await).await;
    all_go_on(&counts).await;
    stops.store(true, Ordering::SeqCst);

    let mut view = state.view().expect("the view is there");
    let mut stored = HashMap::<String, HashMap<u64, u64>>::new();
    for writer in writers {
        let acknowledged = writer.join().expect("it failed at nothing else than writes");
        for (session, key) in &acknowledged {
            let cart = stored.entry(session.clone()).or_insert_with(|| {
                let mut command = redis::cmd("HGETALL");
                let all = command.arg(format!("{{{session}}}:cart")).query(&mut view);
                all.expect("the view answers")
            });
            assert_eq!(cart.get(key), Some(key), "{key} was acknowledged");
        }
        let (session, key) = acknowledged.last().expect("it wrote");
        let mut answer = state
            .agent
            .get(state.key(session, *key))
            .call()
            .expect("it is there");
        assert_eq!(answer.body_mut().read_to_string().unwrap(), key.to_string());
    }
}
