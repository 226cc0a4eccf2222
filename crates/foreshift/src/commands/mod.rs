//! One module a command: ask the API, print the answer.

mod affinity;
pub(crate) mod backtest;
mod check;
mod connections;
pub(crate) mod demo;
mod events;
pub(crate) mod forecast;
mod info;
mod keys;
mod moves;
mod nodes;
mod reload;
mod run;
mod runtime;
pub(crate) mod sessions;
mod status;
mod top;

use anyhow::Result;

pub(crate) use check::Read;

use crate::{args::Command, output::Output};

/// Does what the command line says.
pub(crate) fn dispatch(command: Command) -> Result<()> {
    let out = Output::new();
    match command {
        Command::Run(args) => run::run(&args),
        Command::Agent(args) => {
            run::log(args.log);
            crate::agent::run(&args)
        }
        Command::Demo(args) => demo::run(&args),
        Command::LabBackend(args) => demo::backend(&args),
        Command::LabIngress(args) => demo::ingress(&args),
        Command::Check { config } => check::check(&out, &config),
        Command::Keys(command) => keys::keys(&out, &command),
        Command::Reload(remote) => reload::reload(&out, &remote),
        Command::Info(remote) => info::info(&out, &remote),
        Command::Status(remote) => status::status(&out, &remote),
        Command::Nodes(args) => nodes::nodes(&out, args),
        Command::Affinity(command) => affinity::affinity(&out, &command),
        Command::Connections(args) => connections::connections(&out, args),
        Command::Sessions(command) => sessions::sessions(&out, &command),
        Command::Moves { pool, limit, remote } => moves::moves(&out, &pool, limit, &remote),
        Command::Plan { pool, remote } => moves::plan(&out, &pool, &remote),
        Command::Forecast(args) => forecast::forecast(&out, &args),
        Command::Backtest(args) => backtest::backtest(&out, &args),
        Command::Events { pool, ticks, remote } => events::events(&out, &pool, ticks, &remote),
        Command::Top {
            pool,
            interval,
            count,
            remote,
        } => top::top(&out, &pool, interval, count, &remote),
    }
}
