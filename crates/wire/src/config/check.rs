//! From text to a configuration that makes sense.

use super::{Config, ConfigError};

impl Config {
    /// Reads and checks a configuration. The first problem found is returned, with its key and line.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let line_of = |offset: usize| {
            text.as_bytes()[..offset.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1
        };
        let syntax = |e: toml::de::Error| ConfigError {
            key: String::new(),
            line: e.span().map_or(1, |span| line_of(span.start)),
            message: e.message().into(),
        };
        let deserializer = toml::Deserializer::parse(text).map_err(syntax)?;
        serde_path_to_error::deserialize(deserializer).map_err(|e| ConfigError {
            key: e.path().to_string(),
            line: e.inner().span().map_or(1, |span| line_of(span.start)),
            message: e.inner().message().into(),
        })
    }
}
