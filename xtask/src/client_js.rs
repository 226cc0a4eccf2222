//! The TypeScript client in `clients/js`: its own tool chain, driven from here.
//!
//! npm installs from the lock file, and only where that has changed since: `npm ci` removes and fetches everything.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{root, steps};

/// The oldest Node that the client is for.
const NODE_MIN: u32 = 20;

/// Fetches what it is built with. None of it is part of what users get.
pub(crate) fn install() -> Result<()> {
    check_node()?;
    let lock = folder().join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("read {}", lock.display()))?;
    let stamp = folder().join("node_modules").join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    steps::run(npm().args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]))?;
    Ok(fs::write(stamp, wanted)?)
}

/// Lints, builds and tests it. The end-to-end tests of the workspace use what is built.
pub(crate) fn test() -> Result<()> {
    steps::run(npm().args(["run", "--silent", "lint"]))?;
    steps::run(npm().args(["run", "--silent", "test"]))
}

fn check_node() -> Result<()> {
    let output = Command::new("node")
        .arg("--version")
        .output()
        .context("start node")?;
    let version = String::from_utf8_lossy(&output.stdout);
    if major(&version).is_none_or(|major| major < NODE_MIN) {
        bail!(
            "node is {}, and the TypeScript client needs {NODE_MIN} or newer: install it from https://nodejs.org",
            version.trim()
        );
    }
    Ok(())
}

/// Of `v20.11.0`, 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command
}

fn folder() -> PathBuf {
    root().join("clients").join("js")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        for (version, wanted) in [
            ("v20.11.0\n", Some(20)),
            ("v9.0.0", Some(9)),
            ("20", None),
            ("", None),
        ] {
            assert_eq!(major(version), wanted, "{version}");
        }
    }
}
