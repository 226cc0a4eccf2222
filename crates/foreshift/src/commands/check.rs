//! `foreshift check`

use std::path::Path;

use anyhow::{Context, Result, bail};
use foreshift_wire::Config;

use crate::output::{Output, name};

/// Reads a configuration. The error names, for everything that is wrong, the file, the line, the key and what to do.
pub(super) fn read(file: &Path) -> Result<(Config, Vec<String>)> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read the configuration {shown}"))?;
    let Ok(config) = Config::parse(&text) else {
        let problems = Config::problems(&text);
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("{shown}: {problem}"))
            .collect();
        bail!("{}", lines.join("\n"));
    };
    let warning = |warning: foreshift_wire::ConfigWarning| {
        format!(
            "{shown}: line {}: {warning}",
            Config::line_of(&text, &warning.key)
        )
    };
    let warnings = config.warnings().into_iter().map(warning).collect();
    Ok((config, warnings))
}

pub(super) fn check(out: &Output, file: &Path) -> Result<()> {
    let (config, warnings) = read(file)?;
    out.line(format!("{} can be used", file.display()))?;
    out.line(format!("api       http://{}", config.api.address))?;
    out.line(format!("metadata  {}", config.meta.path.display()))?;
    for listener in &config.listener {
        let (name, address, pool) = (&listener.name, listener.address, &listener.pool);
        out.line(format!("listener  {name} at {address} for pool {pool}"))?;
    }
    for pool in &config.pool {
        let mode = name(&pool.mode);
        out.line(format!(
            "pool      {} with {} nodes, mode {mode}",
            pool.name,
            pool.node.len()
        ))?;
    }
    for warning in warnings {
        out.line(format!("warning: {warning}"))?;
    }
    Ok(())
}
