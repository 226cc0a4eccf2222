//! The project's own commands: `cargo xtask test`, `demo`, `bench`, `tidy`, `audit`.
//!
//! Plain Rust instead of shell scripts, so that they run the same everywhere and are checked like the rest.
//! Each command does its own set-up. Nothing here is part of the product.

// A command-line tool talks on stdout and stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod client_js;
mod demo;
mod setup;
mod steps;
mod test;
mod tidy;

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The project's own commands",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must be green before a change lands; installs what the tests need.
    Test(test::Args),
    /// Build Foreshift and run its demo; arguments are handed to `foreshift demo`.
    Demo(demo::Args),
    /// Measure: the ingress beside other proxies, or a crate's own benches.
    Bench(bench::Args),
    /// Check what the compiler does not: directions between crates, module headers, file sizes.
    Tidy,
    /// Check licences and advisories of the dependencies with cargo-deny (installs it, some minutes).
    Audit,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Tidy => tidy::run(root()),
        Command::Audit => test::audit(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}
