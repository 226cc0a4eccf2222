//! `cargo xtask tidy`: rules that the compiler does not know.
//!
//! The two rules of direction (ARCHITECTURE.md) are read from the manifests; the rest from the sources. Each
//! finding names a file and says what to do.

mod code;
mod links;
mod manifests;
mod sources;

use std::{fmt, path::Path};

use anyhow::{Result, bail};

/// The pure crates: values in, values out.
const PURE: [&str; 3] = ["forecast", "migration", "placement"];

/// A rule that is broken somewhere.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// Checks the workspace at `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = manifests::check(root)?;
    findings.extend(sources::check(root)?);
    findings.extend(links::check(root)?);
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        n => bail!("tidy: {n} to mend"),
    }
}
