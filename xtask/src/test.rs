//! `cargo xtask test`: what must be green before a change lands. CI runs this and nothing else.

use anyhow::Result;

use crate::{root, setup, steps, tidy};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install nothing: fail where something is missing.
    #[arg(long)]
    no_setup: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.no_setup {
        steps::step("set-up", setup::for_tests)?;
    }
    steps::step("format", || {
        steps::run(steps::cargo().args(["fmt", "--all", "--check"]))
    })?;
    steps::step("tidy", || tidy::run(root()))?;
    steps::step("clippy", || {
        let clippy = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ];
        steps::run(steps::cargo().args(clippy))
    })?;
    steps::step("tests", || {
        steps::run(steps::cargo().args(["nextest", "run", "--workspace", "--locked"]))
    })?;
    steps::step("doc tests", || {
        steps::run(steps::cargo().args(["test", "--doc", "--workspace", "--locked", "--quiet"]))
    })
}

/// Licences and advisories. Not part of `test`: it needs the network's newest list, so that a commit that was green
/// could turn red by itself, and building cargo-deny takes minutes.
pub(crate) fn audit() -> Result<()> {
    if !setup::runs(steps::cargo().args(["deny", "--version"])) {
        steps::step("install cargo-deny", || {
            steps::run(steps::cargo().args(["install", "--locked", "cargo-deny"]))
        })?;
    }
    steps::step("cargo deny", || {
        steps::run(steps::cargo().args(["deny", "check"]))
    })
}
