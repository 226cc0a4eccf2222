//! `foreshift demo`, and the processes that it is made of.

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use foreshift_lab::{Approach, BackendOptions, DemoOptions, demo, run_backend};

use crate::args::Run;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How long the load lasts
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// What decides on moves
    #[arg(long, value_enum, default_value_t = By::Predictive)]
    approach: By,
    /// Play the same load with moves off, reactive and predictive
    #[arg(long, conflicts_with = "approach")]
    compare: bool,
    /// Users, each with a WebSocket
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    sessions: u32,
    /// Of everything that is drawn; the same seed gives the same load
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// CSV with lines `seconds,requests_per_second`: how the load rises and falls
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Have the backends burn CPU rather than wait; for machines with a core for each
    #[arg(long)]
    burn: bool,
    /// Kill a backend halfway, so that its users go on elsewhere with what was stored
    #[arg(long)]
    kill: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// Nothing moves
    Off,
    /// The load as it is
    Reactive,
    /// The load as it will be
    Predictive,
}

#[derive(Debug, Args)]
pub(crate) struct Backend {
    #[arg(long)]
    name: String,
    #[arg(long, default_value = "127.0.0.1:0")]
    address: std::net::SocketAddr,
    #[arg(long, default_value_t = 4)]
    workers: usize,
    #[arg(long, default_value_t = 20_000)]
    service_us: u64,
    #[arg(long, default_value_t = 0.5)]
    spread: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long)]
    burn: bool,
    /// The API of the Foreshift that keeps the sessions' state
    #[arg(long, value_name = "ADDRESS")]
    store: Option<std::net::SocketAddr>,
}

/// Runs the demo in processes of this very program.
pub(crate) fn run(args: &Demo) -> Result<()> {
    demo(&DemoOptions {
        program: std::env::current_exe().context("find the path of this program")?,
        seconds: args.seconds,
        sessions: args.sessions as usize,
        seed: args.seed,
        approach: match args.approach {
            By::Off => Approach::Off,
            By::Reactive => Approach::Reactive,
            By::Predictive => Approach::Predictive,
        },
        compare: args.compare,
        json: args.json,
        trace: args.trace.clone(),
        burn: args.burn,
        kill: args.kill,
    })
}

/// One of the demo's backends.
pub(crate) fn backend(args: &Backend) -> Result<()> {
    run_backend(BackendOptions {
        name: args.name.clone(),
        address: args.address,
        workers: args.workers,
        service_time: Duration::from_micros(args.service_us),
        spread: args.spread,
        burn: args.burn,
        seed: args.seed,
        stateless: false,
        tls: None,
        store: args.store,
    })
}

/// `foreshift run` that ends with the process that started it, even where that was killed: its standard input ends.
pub(crate) fn ingress(args: &Run) -> Result<()> {
    std::thread::spawn(|| {
        let mut ignored = [0; 256];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    });
    super::run::run(args)
}
