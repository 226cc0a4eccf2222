//! What the Redis engine adds to Redis: the latency of its reads and writes beside that of `HGET` and `HSET` of the same sizes,
//! asked straight, over connections of the same kind, in turns, of one server. `cargo bench -p foreshift-store --bench redis`.

#![allow(clippy::print_stdout, reason = "figures are to be read")]

#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../tests/common/redis.rs"]
mod server;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../tests/common/sessions.rs"]
mod sessions;

use std::time::{Duration, Instant};

use foreshift_store::engine::{Engine, If, Outcome, Redis, Select};
use foreshift_wire::SessionId;
use redis::{Client, Cmd, Value, aio::MultiplexedConnection};
use server::Server;
use sessions::{NOW_MS, begin, cart, set};

/// Operations of each kind and size.
const ROUNDS: u64 = 20_000;
/// So many of one kind, then as many of the other: what else the machine does hits both.
const TURN: u64 = 50;
const ID: SessionId = SessionId(7);

/// How long operations took.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    async fn add<T>(&mut self, operation: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = operation.await;
        self.0.push(began.elapsed());
        done
    }

    fn at(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let at = (self.0.len() as f64 * share) as usize;
        self.0[at.min(self.0.len() - 1)].as_secs_f64() * 1e6
    }
}

async fn straight(server: &Server) -> MultiplexedConnection {
    let client = Client::open(server.url()).expect("a URL");
    let info = client.get_connection_info().clone();
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let client = Client::open(info.set_tcp_settings(tcp)).expect("a URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection")
}

fn hash(command: &str, value: Option<&str>) -> Cmd {
    let mut hash = redis::cmd(command);
    hash.arg("{fs:straight}").arg("item/1");
    if let Some(value) = value {
        hash.arg(value);
    }
    hash
}

fn tell(what: &str, size: usize, engine: &mut Times, redis: &mut Times) {
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, theirs) = (engine.at(share), redis.at(share));
        println!(
            "{what:5} {size:6} B  {name}  engine {ours:7.1} us  straight {theirs:7.1} us  ratio {:.2}",
            ours / theirs
        );
    }
}

async fn compare(engine: &Redis, redis: &mut MultiplexedConnection, size: usize, version: &mut u64) {
    let value = "v".repeat(size);
    let [mut ours, mut theirs, mut our_reads, mut their_reads] = [const { Times(Vec::new()) }; 4];
    for _ in 0..ROUNDS / TURN {
        for _ in 0..TURN {
            *version += 1;
            let write = set(ID, *version, If::Any, "item/1", &value);
            let outcome = ours.add(engine.write(write)).await;
            assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
        }
        for _ in 0..TURN {
            let command = hash("HSET", Some(&value));
            let answer = theirs.add(command.query_async::<Value>(redis)).await;
            assert!(answer.is_ok(), "{answer:?}");
        }
        for _ in 0..TURN {
            let select = Select::Keys(vec!["item/1".into()]);
            let rows = our_reads.add(engine.read(ID, cart(), select, NOW_MS)).await;
            assert!(rows.is_ok_and(|rows| rows.is_some_and(|rows| rows.rows.len() == 1)));
        }
        for _ in 0..TURN {
            let command = hash("HGET", None);
            let answer = their_reads.add(command.query_async::<Value>(redis)).await;
            assert!(matches!(answer, Ok(Value::BulkString(_))), "{answer:?}");
        }
    }
    tell("write", size, &mut ours, &mut theirs);
    tell("read", size, &mut our_reads, &mut their_reads);
}

fn main() {
    if !server::is_installed() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let server = Server::start(&[]).await;
        let engine = Redis::open(&server.session()).expect("a URL");
        begin(&engine, [ID]).await;
        let mut redis = straight(&server).await;
        let mut version = 0;
        for size in [64, 1_024, 16_384] {
            compare(&engine, &mut redis, size, &mut version).await;
        }
    });
}
