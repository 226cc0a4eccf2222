//! `foreshift check`

use std::{path::Path, time::SystemTime};

use anyhow::{Context, Result, bail};
use foreshift_wire::Config;

use crate::output::{Output, name};

/// A configuration that makes sense, and the text that it was read from.
pub(crate) struct Read {
    pub(crate) config: Config,
    file: String,
    text: String,
}

impl Read {
    /// Reads a configuration. The error names, for everything that is wrong, the file, the line, the key and what to do.
    pub(crate) fn from(file: &Path) -> Result<Self> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {shown}"))?;
        let Ok(config) = Config::parse(&text) else {
            let problems = Config::problems(&text);
            let lines: Vec<_> = problems
                .iter()
                .map(|problem| format!("{shown}: {problem}"))
                .collect();
            bail!("{}", lines.join("\n"));
        };
        Ok(Self {
            config,
            file: shown,
            text,
        })
    }

    /// Where a key is written: for what turns out to be wrong only once it is used.
    pub(crate) fn place(&self, key: &str) -> String {
        format!("{}: line {}: {key}", self.file, Config::line_of(&self.text, key))
    }

    /// An error, with the place of the key that is to blame for it, where one is.
    pub(crate) fn blame<E>(&self, key: Option<String>, error: E) -> anyhow::Error
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match key {
            Some(key) => anyhow::Error::new(error).context(self.place(&key)),
            None => error.into(),
        }
    }

    /// What is allowed but hardly meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |warning: foreshift_wire::ConfigWarning| {
            format!(
                "{}: line {}: {warning}",
                self.file,
                Config::line_of(&self.text, &warning.key)
            )
        };
        self.config.warnings().into_iter().map(warning).collect()
    }
}

pub(super) fn check(out: &Output, file: &Path) -> Result<()> {
    let read = Read::from(file)?;
    let config = &read.config;
    foreshift_control::check_models(config).map_err(|error| match error.key() {
        Some(key) => anyhow::Error::new(error).context(read.place(&key)),
        None => error.into(),
    })?;
    let soon = foreshift_tls::check(config, SystemTime::now()).map_err(|error| {
        let place = read.place(&error.key);
        anyhow::Error::new(error).context(place)
    })?;
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
    for warning in read.warnings() {
        out.line(format!("warning: {warning}"))?;
    }
    for warning in soon {
        out.line(format!(
            "warning: {}: {}",
            read.place(&warning.key),
            warning.message
        ))?;
    }
    Ok(())
}
