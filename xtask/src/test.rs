//! `cargo xtask test`: what must be green before a change lands. CI runs this and nothing else.

use anyhow::Result;

use crate::{client_js, root, setup, steps, tidy};

/// A workspace of its own, which `--all` does not reach.
const FUZZ: &str = "crates/forecast/fuzz/Cargo.toml";

/// What a plain build leaves out.
const OPTIONAL: &str = "foreshift/otlp";

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
        steps::run(steps::cargo().args(["fmt", "--all", "--check"]))?;
        steps::run(steps::cargo().args(["fmt", "--manifest-path", FUZZ, "--check"]))
    })?;
    steps::step("tidy", || tidy::run(root()))?;
    if has_cargo_deny() {
        steps::step("licences, bans, sources", licences)?;
    } else {
        eprintln!("    licences not checked: cargo-deny is not installed (`cargo xtask audit` installs it)");
    }
    steps::step("clippy", || {
        let clippy = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            OPTIONAL,
            "--locked",
            "--",
            "--deny",
            "warnings",
        ];
        steps::run(steps::cargo().args(clippy))
    })?;
    steps::step("TypeScript client", client_js::test)?;
    steps::step("tests", || {
        steps::run(steps::cargo().args([
            "nextest",
            "run",
            "--workspace",
            "--features",
            OPTIONAL,
            "--locked",
        ]))
    })?;
    steps::step("doc tests", || {
        steps::run(steps::cargo().args(["test", "--doc", "--workspace", "--locked", "--quiet"]))
    })
}

/// All that cargo-deny knows. Advisories are not part of `test`: the newest list comes from the network, so that a
/// commit that was green could turn red by itself. Building cargo-deny takes minutes, so `test` only uses one it finds.
pub(crate) fn audit() -> Result<()> {
    if !has_cargo_deny() {
        steps::step("install cargo-deny", || {
            steps::run(steps::cargo().args(["install", "--locked", "cargo-deny"]))
        })?;
    }
    steps::step("licences, bans, sources", licences)?;
    steps::step("advisories", || {
        steps::run(steps::cargo().args(["deny", "check", "advisories"]))
    })
}

fn licences() -> Result<()> {
    let check = [
        "deny",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ];
    steps::run(steps::cargo().args(check))
}

fn has_cargo_deny() -> bool {
    setup::runs(steps::cargo().args(["deny", "--version"]))
}
