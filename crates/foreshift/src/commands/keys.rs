//! `foreshift keys`: works on the key file, which a running Foreshift looks at about once a second.
//!
//! So it needs no API, works while nothing runs, and never holds a key longer than it takes to write the file.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use foreshift_store::{KeyFile, KeyId, MasterKey};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::Read;
use crate::{
    args::{Keys, OfKeyFile},
    output::{Output, Rows},
    usage::usage,
};

/// How often is looked whether a key was taken out.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn keys(out: &Output, command: &Keys) -> Result<()> {
    match command {
        Keys::List(of) => list(out, of),
        Keys::Rotate { retire, file } => rotate(out, file, *retire),
        Keys::Retire { key, wait, file } => retire(out, file, *key, Duration::from_secs(*wait)),
    }
}

fn key_file(config: &Path) -> Result<KeyFile> {
    let read = Read::from(config)?;
    let session = read.config.session;
    let missing = || {
        usage(format!(
            "{} has no table [session], so that no keys are used",
            config.display()
        ))
    };
    Ok(KeyFile::at(&session.ok_or_else(missing)?.key_file))
}

fn existing(file: &KeyFile) -> Result<Vec<MasterKey>> {
    file.list()?
        .context("there is no key file yet; the first `foreshift run` makes it")
}

fn list(out: &Output, of: &OfKeyFile) -> Result<()> {
    let keys = existing(&key_file(&of.config)?)?;
    if of.json {
        return out.json(&keys.iter().map(in_json).collect::<Vec<_>>());
    }
    let mut rows = Rows::new(&["key", "made", "role"]);
    for key in &keys {
        rows.add([key.id.to_string(), second(key.made), key.role.as_str().into()]);
    }
    out.line(rows.text())
}

fn rotate(out: &Output, of: &OfKeyFile, retire: bool) -> Result<()> {
    let file = key_file(&of.config)?;
    let before = existing(&file)?;
    let new = file.rotate(Timestamp::now())?;
    if retire {
        for old in before {
            file.retire(old.id)?;
        }
    }
    if of.json {
        return out.json(&in_json(&new));
    }
    out.line(format!("{} seals what is new", new.id))
}

fn retire(out: &Output, of: &OfKeyFile, key: KeyId, wait: Duration) -> Result<()> {
    let file = key_file(&of.config)?;
    file.retire(key)?;
    let until = Instant::now() + wait;
    while existing(&file)?.iter().any(|there| there.id == key) {
        if Instant::now() >= until {
            bail!(
                "{key} is still in the file: sessions need it, or no Foreshift runs with this file; it is taken out as soon as \
                 one runs and no session needs it"
            );
        }
        thread::sleep(LOOK);
    }
    if of.json {
        return out.json(&json!({ "id": key.to_string(), "role": "retired" }));
    }
    out.line(format!("{key} is retired"))
}

fn in_json(key: &MasterKey) -> Value {
    json!({ "id": key.id.to_string(), "made": second(key.made), "role": key.role.as_str() })
}

fn second(time: Timestamp) -> String {
    // Rounding to a second fails only where the year 9999 ends.
    time.round(Unit::Second).unwrap_or(time).to_string()
}
