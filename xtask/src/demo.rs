//! `cargo xtask demo`: from a fresh clone to the demo in one command.
//!
//! An optimised build: from nothing it takes twice the CPU time of an unoptimised one (146 s against 79 s), but the
//! demo compares latencies, and on few cores load, ingress and backends share them.

use std::process::Command;

use anyhow::Result;

use crate::steps;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to `foreshift demo`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let foreshift = steps::build_foreshift("release")?;
    steps::run(Command::new(foreshift).arg("demo").args(&args.arguments))
}
