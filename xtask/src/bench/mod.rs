//! `cargo xtask bench`: figures that docs/benchmarks.md records.
//!
//! `ingress` compares Foreshift with other proxies on real sockets, `reload` reloads and restarts it under load, `sessions` measures the store of
//! sessions' state; the other names run a crate's divan benches.
//! Nothing here is a test: figures depend on the machine, so each comes with HAProxy's on the same one.

mod account;
mod backend;
mod client;
mod cores;
mod http;
mod ingress;
mod proxies;
mod reactor;
mod report;
mod scenario;
mod stream;
mod tls;
mod websocket;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use crate::steps;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The data plane beside HAProxy, nginx and Envoy.
    Ingress(IngressArgs),
    /// Affinity map and planner.
    Placement(CrateArgs),
    /// Forecasting models: speed, or with `--folds` how good they are on given series.
    Forecast(ForecastArgs),
    /// The control tick.
    Control(CrateArgs),
    /// The store of sessions' state: reads, writes, replay, memory; in release mode.
    Sessions(CrateArgs),
    /// A reload every second, and restarts, under load: whether a request of 100,000 fails.
    Reload(ReloadArgs),
}

#[derive(clap::Args)]
struct CrateArgs {
    /// Handed to the bench binary, for example a filter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(clap::Args)]
struct ForecastArgs {
    /// A folder with `folds.csv` and `series/`: forecast these instead of measuring speed.
    #[arg(long, requires = "out")]
    folds: Option<PathBuf>,
    /// Where the forecasts go, as CSV.
    #[arg(long, requires = "folds")]
    out: Option<PathBuf>,
    /// The model, such as `auto`, `online`, `ets` or `arima`.
    #[arg(long, default_value = "auto", requires = "folds")]
    model: String,
    /// Also go through whole series, and tell the coverage at each step ahead.
    #[arg(long, requires = "folds")]
    step_by_step: bool,
    /// Handed to the bench binary, for example a filter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, conflicts_with = "folds")]
    arguments: Vec<String>,
}

#[derive(clap::Args)]
struct ReloadArgs {
    /// Build in release mode.
    #[arg(long)]
    release: bool,
    /// Requests that must be answered at least.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
}

#[derive(clap::Args)]
struct IngressArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Only these proxies; Envoy takes part by default where it is found (`ENVOY` or PATH).
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<scenario::Scenario>,
    /// How often each proxy is measured in each scenario; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Length of one measurement, after a second of warm-up.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Client connections that always have one request under way.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Idle WebSocket pairs.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pairs: u32,
    /// Go before all other work of a machine that is not idle; as root.
    #[arg(long)]
    first: bool,
    /// Measure this `foreshift` instead of building one in release mode.
    #[arg(long)]
    foreshift: Option<PathBuf>,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// No proxy: what load and backend can do by themselves.
    Direct,
    /// This project.
    Foreshift,
    /// HAProxy as plain as it can be: the reference.
    Haproxy,
    /// HAProxy doing what Foreshift does on each request: hash a header to a node, add forwarding headers.
    HaproxySameWork,
    /// nginx.
    Nginx,
    /// Envoy.
    Envoy,
}

impl Contender {
    /// Whether it is measured with TCP: only the reference is, beside us.
    fn relays_tcp(self) -> bool {
        matches!(self, Self::Direct | Self::Foreshift | Self::Haproxy)
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Ingress(args) => ingress::run(args),
        What::Placement(args) => crate_benches("placement", &args.arguments),
        What::Forecast(args) => forecast(args),
        What::Control(args) => crate_benches("control", &args.arguments),
        What::Sessions(args) => sessions(&args.arguments),
        What::Reload(args) => reload(args),
    }
}

/// The same clients and nodes as in the tests, so it is one of them, at length.
fn reload(args: &ReloadArgs) -> Result<()> {
    let mut command = steps::cargo();
    command.args(["test", "--package", "foreshift", "--test", "many_reloads"]);
    command.args(args.release.then_some("--release"));
    command
        .args(["--", "--nocapture"])
        .env("FORESHIFT_BENCH_REQUESTS", args.requests.to_string());
    steps::run(&mut command)
}

/// A bench of the program's own crate, as it also measures the program.
fn sessions(arguments: &[String]) -> Result<()> {
    let mut command = steps::cargo();
    command.args(["bench", "--package", "foreshift", "--bench", "sessions", "--"]);
    steps::run(command.args(arguments))
}

fn forecast(args: &ForecastArgs) -> Result<()> {
    let Some((folds, out)) = args.folds.as_ref().zip(args.out.as_ref()) else {
        return crate_benches("forecast", &args.arguments);
    };
    // The bench runs elsewhere.
    let absolute = |path: &PathBuf| std::path::absolute(path);
    let mut command = steps::cargo();
    command.args(["bench", "--package", "foreshift-lab", "--bench", "folds", "--"]);
    command.arg("--folds").arg(absolute(folds)?);
    command.arg("--out").arg(absolute(out)?);
    command.args(["--model", &args.model]);
    command.args(args.step_by_step.then_some("--step-by-step"));
    steps::run(&mut command)
}

fn crate_benches(folder: &str, arguments: &[String]) -> Result<()> {
    let mut command = steps::cargo();
    command.args([
        "bench",
        "--package",
        &format!("foreshift-{folder}"),
        "--benches",
        "--",
    ]);
    steps::run(command.args(arguments))
}
