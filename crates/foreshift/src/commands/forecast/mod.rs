//! `foreshift forecast`: of a running Foreshift's nodes, of a series in a file, and the training of a network for it.

mod local;
mod remote;
mod train;

use anyhow::Result;
use clap::{Args, Subcommand};
use foreshift_wire::NodeId;

use crate::{
    args::{OfPool, Remote},
    forecaster::Ahead,
    history::Source,
    output::Output,
    usage::usage,
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Forecast {
    #[command(subcommand)]
    command: Option<ForecastCommand>,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    ahead: Ahead,
    #[command(flatten)]
    pool: OfPool,
    /// Only this node
    #[arg(long)]
    node: Option<NodeId>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum ForecastCommand {
    /// Train a network on series in files, for the selector to choose where it is best
    Train(train::Train),
}

pub(super) fn forecast(out: &Output, args: &Forecast) -> Result<()> {
    if let Some(ForecastCommand::Train(train)) = &args.command {
        return train::train(out, train);
    }
    if !args.source.is_given() {
        return remote::forecast(out, &args.pool, args.node.as_ref(), &args.remote);
    }
    if args.pool.pool.is_some() || args.node.is_some() {
        return Err(usage(
            "--pool and --node are of a running Foreshift; a FILE is of neither",
        ));
    }
    local::forecast(out, &args.source, &args.ahead, args.remote.json)
}
