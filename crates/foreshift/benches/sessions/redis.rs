//! The Redis engine beside the same commands straight to the same server: one caller, in turns.
//!
//! A get is `HGET` of a value of the same size, a set is `HSET`; straight they go over a connection of the crate that the engine uses.
//! The server is a real one that keeps all in memory, so that what Foreshift adds shows most.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use foreshift_store::{Caller, Select, Sessions};
use foreshift_wire::{Session, SessionEngine, SessionId};
use redis::{Value, aio::MultiplexedConnection, cmd};

use crate::{
    Plan,
    data::{Draws, batch, key},
    figure::{Figures, Goal},
    program::{Program, free},
    store::{self, KEYS, VALUE_BYTES},
    times::{Sorted, Times},
};

const GOAL: Goal = Goal::AtMost(1.3);

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let (folder, address) = (tempfile::tempdir_in(&plan.folder)?, free()?);
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &address.port().to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
    ]);
    let _server = Program::start(command.arg(folder.path()), &[address])?;
    let config = Session {
        engine: SessionEngine::Redis,
        urls: vec![format!("redis://{address}")],
        ..store::config(folder.path(), store::usual_cache())
    };
    let time = Duration::from_secs(plan.seconds);
    let [gets, sets] = store::runtime()?.block_on(async {
        let sessions = Sessions::open(&config, &[]).await?;
        let ids = store::fill(&sessions, plan.sessions.min(1_000)).await?;
        let client = redis::Client::open(config.urls[0].as_str())?;
        let connection = client.get_multiplexed_async_connection().await?;
        let pair = Pair { sessions, connection };
        // All of it as a task: what blocks a runtime's own thread is slower.
        tokio::spawn(pair.measure(ids.to_vec(), time)).await?
    })?;
    for (name, [through, straight]) in [("get", gets), ("set", sets)] {
        for (which, q) in [("median", 0.5), ("p99", 0.99)] {
            let (ours, theirs) = (through.us(q), straight.us(q));
            let note = format!("{ours:.1} us, straight {theirs:.1} us");
            figures.add(
                &format!("redis {name}, {which} by straight"),
                ours / theirs,
                "x",
                GOAL,
                note,
            );
        }
    }
    Ok(())
}

struct Pair {
    sessions: Sessions,
    connection: MultiplexedConnection,
}

impl Pair {
    /// Gets and then sets: through the engine, and straight.
    async fn measure(mut self, ids: Vec<SessionId>, time: Duration) -> Result<[[Sorted; 2]; 2]> {
        for id in &ids {
            for index in 0..KEYS {
                self.set_straight(*id, index, &[1; VALUE_BYTES]).await?;
            }
        }
        let _warm = self.gets(&ids, time / 4).await?;
        let gets = self.gets(&ids, time).await?;
        let _warm = self.sets(&ids, time / 4).await?;
        let sets = self.sets(&ids, time).await?;
        self.sessions.close().await;
        Ok([gets, sets])
    }

    async fn gets(&mut self, ids: &[SessionId], time: Duration) -> Result<[Sorted; 2]> {
        let (caller, cart, mut draws) = (Caller::own(), store::cart()?, Draws::seeded(5));
        let (mut through, mut straight) = (Times::default(), Times::default());
        let end = Instant::now() + time;
        while Instant::now() < end {
            let (id, index) = (ids[draws.below(ids.len())], draws.below(KEYS));
            let begun = Instant::now();
            let select = Select::Keys(vec![key(index)]);
            let part = self.sessions.read(&caller, id, &cart, select).await?;
            through.since(begun);
            ensure!(part.entries.len() == 1, "a key is not there");
            let begun = Instant::now();
            let mut get = cmd("HGET");
            get.arg(straight_key(id)).arg(&key(index)[..]);
            let value: Value = get.query_async(&mut self.connection).await?;
            straight.since(begun);
            ensure!(
                matches!(value, Value::BulkString(bytes) if bytes.len() == VALUE_BYTES),
                "a field is not there"
            );
        }
        Ok([through.sorted(), straight.sorted()])
    }

    async fn sets(&mut self, ids: &[SessionId], time: Duration) -> Result<[Sorted; 2]> {
        let (caller, cart, mut draws) = (Caller::own(), store::cart()?, Draws::seeded(6));
        let (mut through, mut straight) = (Times::default(), Times::default());
        let end = Instant::now() + time;
        while Instant::now() < end {
            let (id, index) = (ids[draws.below(ids.len())], draws.below(KEYS));
            let value = draws.bytes(VALUE_BYTES);
            let change = batch([(key(index), value.clone())]);
            let begun = Instant::now();
            self.sessions.write(&caller, id, &cart, change).await?;
            through.since(begun);
            let begun = Instant::now();
            self.set_straight(id, index, &value).await?;
            straight.since(begun);
        }
        Ok([through.sorted(), straight.sorted()])
    }

    async fn set_straight(&mut self, id: SessionId, index: usize, value: &[u8]) -> Result<()> {
        let mut set = cmd("HSET");
        set.arg(straight_key(id)).arg(&key(index)[..]).arg(value);
        let _: Value = set.query_async(&mut self.connection).await?;
        Ok(())
    }
}

/// Of the same length as the engine's, and none of its.
fn straight_key(id: SessionId) -> String {
    format!("{{cp:{id}}}")
}
