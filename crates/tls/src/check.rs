//! Whether the files that a configuration names can be used.

use std::time::SystemTime;

use foreshift_wire::Config;

use crate::{Error, Warning};

/// Reads every file that TLS will need. The keys of what is returned are those of the whole configuration:
/// `listener[0].tls.certificate`.
pub fn check(config: &Config, now: SystemTime) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    for (n, listener) in config.listener.iter().enumerate() {
        if !listener.tls.is_empty() {
            let opened = crate::listener(&listener.tls, listener.protocol, now).map(|opened| opened.warnings);
            warnings.extend(within(&format!("listener[{n}]"), opened)?);
        }
    }
    for (n, pool) in config.pool.iter().enumerate() {
        if let Some(tls) = &pool.tls {
            let opened = crate::pool(tls, now).map(|opened| opened.warnings);
            warnings.extend(within(&format!("pool[{n}]"), opened)?);
        }
    }
    if let Some(tls) = config.session.as_ref().and_then(|session| session.tls.as_ref()) {
        warnings.extend(within(
            "session",
            crate::session(tls, now).map(|opened| opened.warnings),
        )?);
    }
    Ok(warnings)
}

/// The same with keys of the whole configuration.
fn within(table: &str, found: Result<Vec<Warning>, Error>) -> Result<Vec<Warning>, Error> {
    let key = |key: &str| format!("{table}.{key}");
    let warning = |w: Warning| Warning {
        key: key(&w.key),
        ..w
    };
    match found {
        Ok(warnings) => Ok(warnings.into_iter().map(warning).collect()),
        Err(error) => Err(Error {
            key: key(&error.key),
            ..error
        }),
    }
}
