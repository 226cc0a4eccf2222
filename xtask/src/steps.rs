//! Running other programs: cargo above all.

use std::{env, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::root;

/// The cargo that runs us, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a program to its end; an error where it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let status = command.status().with_context(|| format!("start {name}"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// Runs `work` under a name, and says how long it took.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("==> {name}");
    let started = Instant::now();
    work().with_context(|| format!("step {name}"))?;
    eprintln!("    {name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Builds the program with a profile (`dev` or `release`); where it then is.
pub(crate) fn build_foreshift(profile: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "foreshift", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(folder).join("foreshift"))
}

/// Does what this process was asked to do in an optimised build of itself.
pub(crate) fn run_this_in_release() -> Result<()> {
    run(cargo().args(["build", "--package", "xtask", "--release"]))?;
    let program = target().join("release").join("xtask");
    run(Command::new(program).args(env::args_os().skip(1)))
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let set = env::var_os("CARGO_TARGET_DIR").map(|folder| root().join(folder));
    set.unwrap_or_else(|| root().join("target"))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
