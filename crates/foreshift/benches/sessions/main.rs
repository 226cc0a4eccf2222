//! What the store of sessions' state does in how much time and memory: `cargo xtask bench sessions`.
//!
//! Each part measures some figures, and each figure is told with its goal and whether that was met. Nothing here is a test: figures
//! depend on the machine. docs/benchmarks.md records them.

// A bench prints its figures.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../../ingress/benches/common/mod.rs"]
mod common;
mod data;
mod drain;
mod figure;
mod memory;
mod node;
mod own;
mod program;
mod read;
mod redis;
mod replay;
#[allow(dead_code, reason = "the program also opens it again")]
#[path = "../../src/state.rs"]
mod state;
mod store;
mod times;
mod wire;
mod write;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use figure::Figures;

/// The program's own, as it counts in memory and time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Sessions in the store, and sessions that are replayed.
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// Length of one measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where stores are made: the disk counts. Cargo's folder for it where absent.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Getting a key of the embedded engine, in this process.
    Read,
    /// Durable batches of the embedded engine.
    Write,
    /// Getting a key from a running Foreshift, over HTTP and the Redis view.
    Wire,
    /// The Redis engine beside Redis.
    Redis,
    /// Bytes sent of a session that moves.
    Replay,
    /// Time until all sessions of a node that is drained are replayed to another one.
    Drain,
    /// Memory of the embedded engine.
    Memory,
}

/// What parts are told.
pub(crate) struct Plan {
    pub(crate) sessions: usize,
    pub(crate) seconds: u64,
    pub(crate) folder: PathBuf,
}

fn main() -> Result<()> {
    if let Ok(role) = std::env::var("BENCH_ROLE") {
        return own::play(&role);
    }
    let args = Args::parse();
    let folder = args.folder.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let plan = Plan {
        sessions: args.sessions,
        seconds: args.seconds,
        folder,
    };
    let mut figures = Figures::new(args.json);
    let parts = match args.only.is_empty() {
        true => Part::value_variants(),
        false => &args.only,
    };
    for part in parts {
        figures.begin(&format!("{part:?}").to_lowercase());
        match part {
            Part::Read => read::measure(&plan, &mut figures)?,
            Part::Write => write::measure(&plan, &mut figures)?,
            Part::Wire => wire::measure(&plan, &mut figures)?,
            Part::Redis => redis::measure(&plan, &mut figures)?,
            Part::Replay => replay::measure(&plan, &mut figures)?,
            Part::Drain => drain::measure(&plan, &mut figures)?,
            Part::Memory => memory::measure(&plan, &mut figures)?,
        }
    }
    figures.end()
}
