//! Whether the files that a configuration names can be used.

use std::time::SystemTime;

use foreshift_wire::Config;

use crate::{Error, Warning, listener};

/// Reads every file that TLS will need. The keys of what is returned are those of the whole configuration:
/// `listener[0].tls.certificate`.
pub fn check(config: &Config, now: SystemTime) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    for (n, listener) in config.listener.iter().enumerate() {
        if listener.tls.is_empty() {
            continue;
        }
        let key = |key: &str| format!("listener[{n}].{key}");
        let opened = self::listener(&listener.tls, now).map_err(|e| Error {
            key: key(&e.key),
            ..e
        })?;
        warnings.extend(opened.warnings.into_iter().map(|w| Warning {
            key: key(&w.key),
            ..w
        }));
    }
    Ok(warnings)
}
