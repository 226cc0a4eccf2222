//! `foreshift check`

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use foreshift_wire::Config;

use crate::output::Output;

/// Reads a configuration; the error names the file, the line, the key and what to do.
pub(super) fn read(file: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the configuration {}", file.display()))?;
    Config::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))
}

pub(super) fn check(out: &Output, file: &Path) -> Result<()> {
    let config = read(file)?;
    out.line(format!("{} can be used", file.display()))?;
    out.line(format!("api       http://{}", config.api.address))?;
    out.line(format!("metadata  {}", config.meta.path.display()))?;
    for listener in &config.listener {
        out.line(format!(
            "listener  {} at {} for pool {}",
            listener.name, listener.address, listener.pool
        ))?;
    }
    for pool in &config.pool {
        let mode = crate::output::name(&pool.mode);
        out.line(format!(
            "pool      {} with {} nodes, mode {mode}",
            pool.name,
            pool.node.len()
        ))?;
    }
    Ok(())
}
