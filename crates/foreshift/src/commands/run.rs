//! `foreshift run`: the ingress and control in one process.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use super::check::Read;
use crate::{
    args::{LogFormat, Run},
    serving,
};

/// Runs until SIGINT or SIGTERM, then drains. A second signal ends it at once.
pub(super) fn run(args: &Run) -> Result<()> {
    let read = Read::from(&args.config)?;
    log(args.log);
    // Before there are threads.
    let given = serving::Given::take();
    for warning in read.warnings() {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    // One thread is enough for control; the workers of the ingress have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serving::serve(args, read, given))
}

/// Allows as many open files as the system lets us: each client takes two.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
    {
        tracing::warn!(%error, "the limit of open files stays where it is");
    }
}

pub(super) fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}
