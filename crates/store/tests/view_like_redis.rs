//! The view answers as Redis itself does: the same commands are given to both, and the answers compared.

mod serving;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use redis::{Value, cmd};
use serving::{View, key, need};

/// A Redis of this test alone, at a socket in a folder that goes with it.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(need("redis-server"))
            .args(["--port", "0", "--save", "", "--unixsocket", "redis.sock"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .find(|line| line.contains("accept connections at"));
        assert!(ready.is_some(), "redis-server ended before it was ready");
        Self { process, folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pick<'a, T: ?Sized>(rng: &mut impl Rng, from: &[&'a T]) -> &'a T {
    from[rng.random_range(0..from.len())]
}

/// A command that may be right or wrong.
fn any_command(rng: &mut SmallRng) -> Vec<String> {
    let key = key(pick(rng, &["cart", "game/map"]));
    let fields = ["a", "b", "c", "d"];
    let (first, second) = (pick(rng, &fields), pick(rng, &fields));
    let number = pick(
        rng,
        &["0", "5", "-3", "9223372036854775807", "x", "01", "1.5", ""],
    );
    let value = pick(rng, &["1", "text", "", "\r\n\u{0}"]);
    let option = pick(rng, &["NX", "xx", "GT", "lt", "ZZ"]);
    // No two times are so near that it depends on the millisecond which is later.
    let later = (rng.random_range(1..1_000_000) * 1_000).to_string();
    let seconds = pick(
        rng,
        &[&*later, &later, &later, "-1", "0", "x", "9223372036854775807"],
    );
    let words: Vec<&str> = match rng.random_range(0..30) {
        0 => vec!["HSET", &key, first, value],
        1 => vec!["HSET", &key, first, value, second, number],
        2 => vec!["HSET", &key, first, value, second],
        3 => vec!["HGET", &key, first],
        4 => vec!["HMGET", &key, first, second, first],
        5 => vec!["HGETALL", &key],
        6 => vec!["HDEL", &key, first, second],
        7 => vec!["HEXISTS", &key, first],
        8 => vec!["HLEN", &key],
        9 => vec!["HKEYS", &key],
        10 => vec!["HVALS", &key],
        11 => vec!["HINCRBY", &key, first, number],
        12 => vec!["HSTRLEN", &key, first],
        13 => vec!["HSETNX", &key, first, value],
        14 => vec!["DEL", &key],
        15 => vec!["UNLINK", &key, &key],
        16 => vec!["EXISTS", &key, &key],
        17 | 18 => vec!["EXPIRE", &key, seconds],
        19 | 20 => vec!["EXPIRE", &key, seconds, option],
        21 => vec![
            "EXPIRE",
            &key,
            seconds,
            option,
            pick(rng, &["NX", "XX", "GT", "LT"]),
        ],
        22 => vec!["PEXPIREAT", &key, pick(rng, &["99999999999999", "-5", "1"])],
        23 => vec!["TTL", &key],
        24 => vec!["EXPIRETIME", &key],
        25 => vec!["PERSIST", &key],
        26 => vec!["TYPE", &key],
        27 => vec!["HMSET", &key, first, value],
        28 => vec!["HINCRBY", &key, first],
        _ => vec![
            "HSCAN",
            &key,
            "0",
            "MATCH",
            pick(rng, &["*", "a", "[ab]", "[^a]", "?"]),
        ],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// An answer in which only what is promised counts: Redis' fields come in any order, and a second may end between two commands.
fn promised(words: &[String], reply: Value) -> String {
    let pairs_of = |mut all: Vec<Value>, size| {
        let mut pairs: Vec<_> = all.chunks_mut(size).map(|pair| format!("{pair:?}")).collect();
        pairs.sort_unstable();
        pairs.join(" ")
    };
    match (words[0].as_str(), reply) {
        ("HGETALL", Value::Array(all)) => pairs_of(all, 2),
        ("HKEYS" | "HVALS", Value::Array(all)) => pairs_of(all, 1),
        ("HSCAN", Value::Array(mut parts)) => match parts.pop() {
            Some(Value::Array(all)) => format!("{parts:?} {}", pairs_of(all, 2)),
            other => format!("{other:?}"),
        },
        ("TTL", Value::Int(seconds)) if seconds > 0 => format!("~{}", (seconds + 50) / 100),
        ("EXPIRETIME", Value::Int(seconds)) if seconds > 0 => "a time".into(),
        (_, reply) => format!("{reply:?}"),
    }
}

#[tokio::test]
async fn the_same_commands_have_the_same_answers() {
    let (server, view) = (Server::start(), View::start().await);
    let url = format!("unix://{}", server.folder.path().join("redis.sock").display());
    let real = redis::Client::open(url).unwrap();
    let mut real = real.get_multiplexed_async_connection().await.unwrap();
    let mut ours = view.client().await;
    let seed = rand::rng().random();
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut last = Vec::new();
    for at in 0..4_000 {
        let words = any_command(&mut rng);
        let mut command = cmd(&words[0]);
        command.arg(&words[1..]);
        let answer = |reply: Result<Value, redis::RedisError>| match reply {
            Ok(reply) => promised(&words, reply),
            Err(error) => error.to_string(),
        };
        let expected = answer(command.query_async(&mut real).await);
        let found = answer(command.query_async(&mut ours).await);
        last.push(words.clone());
        let before = &last[last.len().saturating_sub(8)..];
        assert_eq!(found, expected, "seed {seed}, command {at}: {before:?}");
    }
}
