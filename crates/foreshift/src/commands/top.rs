//! `foreshift top`

use std::time::Duration;

use anyhow::Result;
use foreshift_wire::{Move, PoolView};

use super::status;
use crate::{
    args::{OfPool, Remote},
    client::{Client, query},
    describe,
    output::{Output, time_of_day},
};

/// Moves shown under the tables.
const MOVES: usize = 8;
/// Clears the screen and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(super) fn top(
    out: &Output,
    pool: &OfPool,
    interval: u64,
    count: Option<u64>,
    remote: &Remote,
) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let mut looks = 0;
    loop {
        look(out, &client, pool, remote)?;
        looks += 1;
        if count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(interval));
    }
}

fn look(out: &Output, client: &Client, pool: &OfPool, remote: &Remote) -> Result<()> {
    let pools: Vec<PoolView> = match &pool.pool {
        Some(pool) => vec![client.get(&format!("/v1/pools/{pool}"))?],
        None => client.get("/v1/pools")?,
    };
    if remote.json {
        return out.json_line(&pools);
    }
    let filter = query(&[
        ("pool", pool.pool.as_ref().map(ToString::to_string)),
        ("limit", Some(MOVES.to_string())),
    ]);
    let moves: Vec<Move> = client.get(&format!("/v1/moves{filter}"))?;
    let mut screen = String::new();
    if out.is_terminal() {
        screen.push_str(CLEAR);
    }
    for pool in &pools {
        screen.push_str(&format!(
            "{}\n{}\n\n",
            status::headline(pool),
            status::table(out, pool)
        ));
    }
    for made in &moves {
        screen.push_str(&format!(
            "{} {}\n",
            time_of_day(made.planned_ms),
            describe::one_move(out, made)
        ));
    }
    out.raw(&screen)
}
