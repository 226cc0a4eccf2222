//! Foreshift: moves load before it hurts. The command line.
//!
//! Composition only: `run` joins the ingress and control, every other command asks a running one over its API.

mod agent;
mod args;
mod client;
mod commands;
mod describe;
mod forecaster;
mod history;
mod output;
mod plane;
mod progress;
mod serving;
mod state;
mod usage;

use std::{io, process::ExitCode};

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap prints what is wrong with the usage itself, and exits with 2.
    let cli = args::Cli::parse();
    match commands::dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            match error.chain().any(|cause| cause.is::<usage::Usage>()) {
                true => ExitCode::from(2),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn complain(error: &anyhow::Error) {
    use io::Write;
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many errors tell their cause themselves.
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    // Nothing can be done where standard error is closed.
    let _ = writeln!(io::stderr(), "foreshift: {text}");
}

/// True where standard output's reader went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error
        .root_cause()
        .downcast_ref::<io::Error>()
        .map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}
