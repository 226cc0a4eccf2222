//! From text to a configuration that makes sense.

mod explain;
mod finding;
mod listener;
mod place;
mod pool;
mod resilience;
mod server;
mod session;
mod signals;
mod warning;

use super::{Config, ConfigError, ConfigWarning};
use finding::Findings;
use place::Places;

impl Config {
    /// Reads and checks a configuration. The first problem in the text is returned, with its key, its line and what to
    /// do about it; [`Config::problems`] tells all of them.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        read(text).map_err(|mut problems| problems.swap_remove(0))
    }

    /// Everything that is wrong with a configuration, in the order of its lines, what is missing last; nothing where [`Config::parse`]
    /// takes it.
    ///
    /// A text that is no TOML, or has an unknown key or a value of a wrong type, gives that one problem: what the rest means
    /// is not certain then.
    pub fn problems(text: &str) -> Vec<ConfigError> {
        read(text).err().unwrap_or_default()
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        warning::warnings(self)
    }

    /// The line of a key, such as that of a warning, in the text that the configuration was read from. Where the key is not
    /// written out, the line of the table that it belongs to; 1 where there is none either.
    pub fn line_of(text: &str, key: &str) -> usize {
        Places::read(text).map_or(1, |places| places.line_of(key))
    }
}

/// The errors are never empty.
fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    let places = Places::read(text).map_err(|e| vec![explain::syntax(text, &e)])?;
    let table = places.table().clone();
    let config: Config = serde_path_to_error::deserialize(toml::Deserializer::from(table))
        .map_err(|e| vec![explain::mismatch(&places, &e)])?;

    let mut findings = Findings::default();
    server::check(&config, &mut findings);
    listener::check(&config, &mut findings);
    pool::check(&config, &mut findings);
    if let Some(agent) = &config.agent {
        signals::agent(agent, &mut findings);
    }
    if let Some(session) = &config.session {
        session::check(&config, session, &mut findings);
    }
    for (n, pool) in config.pool.iter().enumerate() {
        session::pool(&config, pool, &mut findings.of(format!("pool[{n}]")));
    }
    let mut found = findings.0;
    // What is missing altogether has no line of its own, and may only be the consequence of something else.
    found.sort_by_key(|f| (!places.has(&f.key), places.line_of(&f.key)));
    match found.is_empty() {
        true => Ok(config),
        false => Err(found.into_iter().map(|f| f.at(&places)).collect()),
    }
}
