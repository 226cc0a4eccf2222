//! The file of master keys.
//!
//! One line a key, in the order in which they were made: `key <id> <when made> <64 hex digits>`, with `current` behind the one that
//! seals what is new, and `retiring` behind those that are to be taken out once no session needs them. An id is a hash of its key, so
//! that a damaged line does not pass for another key. Lines that begin with `#` are for people.

use std::{
    fmt::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use foreshift_secret::Locked;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{KEY_BYTES, fingerprint, no_random};
use crate::Error;

/// The first line, with the version of what follows.
const FIRST_LINE: &str = "foreshift session keys, version 1";
const ADVICE: &str =
    "# Whoever has this file and the store can read all that sessions keep; who loses it, nothing.";
/// More are hardly meant.
const KEYS_MAX: usize = 1_000;

/// Which master key: a hash of it, 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        id.map(Self).ok_or("is no key id: 16 hex digits")
    }
}

/// What may be told of a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    /// Which.
    pub id: KeyId,
    /// When it was made.
    pub made: Timestamp,
    /// What it is for.
    pub role: KeyRole,
}

impl MasterKey {
    /// Whether it seals what is new.
    pub fn is_current(&self) -> bool {
        self.role == KeyRole::Current
    }
}

/// What a master key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// It seals what is new.
    Current,
    /// It opens what was sealed with it.
    Kept,
    /// The same; and it is taken out of the file when no session needs it any more.
    Retiring,
}

impl KeyRole {
    /// As the file has it behind a key; nothing where it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Kept => "kept",
            Self::Retiring => "retiring",
        }
    }
}

/// A master key itself. It has no `Debug`.
pub(super) struct Master {
    pub(super) about: MasterKey,
    pub(super) key: Zeroizing<[u8; KEY_BYTES]>,
}

impl Master {
    pub(super) fn draw(made: Timestamp) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut key[..]).map_err(no_random)?;
        Ok(Self::of(key, made, KeyRole::Current))
    }

    #[cfg(test)]
    pub(super) fn known(key: [u8; KEY_BYTES], role: KeyRole) -> Self {
        Self::of(Zeroizing::new(key), Timestamp::UNIX_EPOCH, role)
    }

    fn of(key: Zeroizing<[u8; KEY_BYTES]>, made: Timestamp, role: KeyRole) -> Self {
        let id = KeyId(u64::from_be_bytes(fingerprint(b"foreshift master key", &key)));
        let about = MasterKey { id, made, role };
        Self { about, key }
    }
}

/// The file of master keys: what is done to it.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// It need not be there.
    pub fn at(file: &Path) -> Self {
        Self(file.to_owned())
    }

    /// What may be told of its keys, oldest first; `None` where there is no file.
    pub fn list(&self) -> Result<Option<Vec<MasterKey>>, Error> {
        let masters = self.masters()?;
        Ok(masters.map(|masters| masters.iter().map(|master| master.about).collect()))
    }

    /// Makes it with one key, where there is none.
    pub fn make(&self, now: Timestamp) -> Result<(), Error> {
        let locked = self.locked()?;
        match self.read(&locked)? {
            Some(_) => Ok(()),
            None => self.write(&locked, &[Master::draw(now)?]),
        }
    }

    /// Adds a key that seals what is new from now on.
    pub fn rotate(&self, now: Timestamp) -> Result<MasterKey, Error> {
        let locked = self.locked()?;
        let missing = || self.unusable("is not there; it is made by the first `foreshift run`");
        let mut masters = self.read(&locked)?.ok_or_else(missing)?;
        if masters.len() >= KEYS_MAX {
            return Err(self.unusable("has too many keys; retire those that no session needs"));
        }
        for Master { about, .. } in &mut masters {
            if about.is_current() {
                about.role = KeyRole::Kept;
            }
        }
        let new = Master::draw(now)?;
        let about = new.about;
        masters.push(new);
        self.write(&locked, &masters)?;
        Ok(about)
    }

    /// Has a key taken out as soon as no session needs it, by the process that serves the sessions: now, or when it starts.
    pub fn retire(&self, id: KeyId) -> Result<(), Error> {
        self.change(id, |masters, at| masters[at].about.role = KeyRole::Retiring)
    }

    /// Removes a key. Whether a session needs it is the caller's to know.
    pub(crate) fn remove(&self, id: KeyId) -> Result<(), Error> {
        self.change(id, |masters, at| drop(masters.remove(at)))
    }

    /// Changes a key that is not the current one.
    fn change(&self, id: KeyId, change: impl FnOnce(&mut Vec<Master>, usize)) -> Result<(), Error> {
        let locked = self.locked()?;
        let mut masters = self.read(&locked)?.unwrap_or_default();
        match masters.iter().position(|master| master.about.id == id) {
            None => Err(self.unusable(format!("has no key {id}"))),
            Some(at) if masters[at].about.is_current() => {
                Err(self.unusable(format!("has {id} as its current key; rotate first")))
            }
            Some(at) => {
                change(&mut masters, at);
                self.write(&locked, &masters)
            }
        }
    }

    pub(super) fn masters(&self) -> Result<Option<Vec<Master>>, Error> {
        let text = foreshift_secret::read(&self.0).map_err(|error| self.unusable(error))?;
        text.map(|text| self.parse(&text)).transpose()
    }

    fn locked(&self) -> Result<Locked, Error> {
        Locked::wait(&self.0).map_err(|error| self.unusable(error))
    }

    fn read(&self, locked: &Locked) -> Result<Option<Vec<Master>>, Error> {
        let text = locked.read().map_err(|error| self.unusable(error))?;
        text.map(|text| self.parse(&text)).transpose()
    }

    fn write(&self, locked: &Locked, masters: &[Master]) -> Result<(), Error> {
        let text = print(masters);
        // What could not be read again would be the end of all sessions.
        self.parse(&text)?;
        locked.replace(&text).map_err(|error| self.unusable(error))
    }

    fn parse(&self, text: &str) -> Result<Vec<Master>, Error> {
        let mut lines = (1..).zip(text.lines());
        if lines.next().map(|(_, line)| line) != Some(FIRST_LINE) {
            return Err(self.unusable(format!(
                "does not begin with {FIRST_LINE:?}; it is no key file, or a newer version's"
            )));
        }
        let mut masters = Vec::new();
        for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            // The line itself is not repeated: it may hold a key.
            let parsed = parse(line).map_err(|why| self.unusable(format!("line {at}: {why}")))?;
            masters.push(parsed);
        }
        let current = masters.iter().filter(|master| master.about.is_current()).count();
        if current != 1 {
            return Err(self.unusable(format!(
                "has {current} current keys; exactly one key line must end with \"current\""
            )));
        }
        Ok(masters)
    }

    fn unusable(&self, why: impl fmt::Display) -> Error {
        Error::File {
            file: self.0.clone(),
            detail: format!("{why}"),
        }
    }
}

fn print(masters: &[Master]) -> Zeroizing<String> {
    // With room for all of it, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(200 + masters.len() * 200));
    text.push_str(FIRST_LINE);
    text.push('\n');
    text.push_str(ADVICE);
    text.push('\n');
    for Master { about, key } in masters {
        // Writing to a string cannot fail.
        let _ = write!(text, "key {} {} ", about.id, about.made);
        for byte in key.iter() {
            let _ = write!(text, "{byte:02x}");
        }
        if about.role != KeyRole::Kept {
            text.push(' ');
            text.push_str(about.role.as_str());
        }
        text.push('\n');
    }
    text
}

fn parse(line: &str) -> Result<Master, &'static str> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let (id, made, key, role) = match words[..] {
        ["key", id, made, key] => (id, made, key, KeyRole::Kept),
        ["key", id, made, key, "current"] => (id, made, key, KeyRole::Current),
        ["key", id, made, key, "retiring"] => (id, made, key, KeyRole::Retiring),
        _ => return Err("is no key: key <id> <when made> <64 hex digits> [current|retiring]"),
    };
    let id: KeyId = id.parse()?;
    let made = made
        .parse()
        .map_err(|_| "has no time as in 2026-01-31T12:00:00Z")?;
    let master = Master::of(hex(key).ok_or("has no key of 64 hex digits")?, made, role);
    match master.about.id == id {
        true => Ok(master),
        false => Err("has a key that does not fit its id: it was damaged"),
    }
}

fn hex(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests;
