//! What a request asks for: from words to a command with all that it needs, or the error that Redis would give.
//!
//! Pure. What is not known here is refused here; what is known is carried out in `perform` (state) and `session` (the connection).

mod scan;
mod table;
mod time;

use bytes::Bytes;

pub(super) use self::{
    scan::Scan,
    table::{COMMANDS, Spec},
    time::{Expire, When},
};
use super::key::Key;

/// A command about state.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// About the connection: the name in lower case, and what follows it.
    Connection(&'static str, Vec<Bytes>),
    Get(Key, Bytes),
    GetMany(Key, Vec<Bytes>),
    All(Key, Half),
    Length(Key),
    HasField(Key, Bytes),
    FieldLength(Key, Bytes),
    Scan(Key, Scan),
    /// Answers the number of new fields, or `OK` where the flag is set.
    Set(Key, Vec<(Bytes, Bytes)>, bool),
    SetNew(Key, Bytes, Bytes),
    Remove(Key, Vec<Bytes>),
    Add(Key, Bytes, i64),
    Drop(Vec<Key>),
    Count(Vec<Key>),
    Type(Key),
    Expire(Key, Expire),
    /// When it ends.
    Ends(Key, When),
    Persist(Key),
}

/// Which half of fields and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Fields,
    Values,
    Both,
}

/// What follows a command's name.
pub(super) struct Words {
    spec: &'static Spec,
    rest: std::vec::IntoIter<Bytes>,
}

impl Command {
    /// Reads a request; the error is what the client is told.
    pub(super) fn parse(words: Vec<Bytes>) -> Result<Self, String> {
        let Some(spec) = words.first().and_then(|name| Spec::of(name)) else {
            return Err(unknown(&words));
        };
        if !spec.takes(words.len()) {
            return Err(wrong_arity(spec.name));
        }
        let mut rest = words.into_iter();
        rest.next();
        (spec.parse)(Words { spec, rest })
    }
}

impl Words {
    /// The next word; the arity was checked, so that what must be there is.
    fn next(&mut self) -> Result<Bytes, String> {
        self.rest.next().ok_or_else(|| wrong_arity(self.spec.name))
    }

    fn key(&mut self) -> Result<Key, String> {
        Key::parse(&self.next()?)
    }

    fn keys(self) -> Result<Vec<Key>, String> {
        self.rest.map(|key| Key::parse(&key)).collect()
    }

    fn fields(self) -> Vec<Bytes> {
        self.rest.collect()
    }

    fn pairs(self) -> Result<Vec<(Bytes, Bytes)>, String> {
        let words = self.rest.as_slice();
        if words.is_empty() || !words.len().is_multiple_of(2) {
            return Err(wrong_arity(self.spec.name));
        }
        let pair = |pair: &[Bytes]| (pair[0].clone(), pair[1].clone());
        Ok(words.chunks_exact(2).map(pair).collect())
    }

    fn number(&mut self) -> Result<i64, String> {
        integer(&self.next()?).ok_or_else(|| NOT_AN_INTEGER.into())
    }
}

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";

/// An integer as Redis writes them: no sign but `-`, no zeros before it.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

pub(super) fn wrong_arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// A few bytes of what a client sent, for a text to the same client.
pub(super) fn shown(word: &[u8]) -> String {
    word[..word.len().min(64)].escape_ascii().to_string()
}

fn unknown(words: &[Bytes]) -> String {
    let name = words.first().map_or_else(String::new, |name| shown(name));
    let upper = name.to_ascii_uppercase();
    match upper.as_str() {
        "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "UNWATCH" => {
            return format!(
                "ERR {upper} is not served: one HSET or HDEL with many fields is done as one; pipelines are served \
                 without MULTI (redis-py: pipeline(transaction=False))"
            );
        }
        "SCAN" | "KEYS" | "RANDOMKEY" | "DBSIZE" => {
            return format!("ERR {upper} is not served: this view does not list sessions");
        }
        "GET" | "SET" | "INCR" | "MGET" | "MSET" | "SETEX" | "APPEND" => {
            return format!("ERR {upper} is not served: a partition is a hash; use HGET, HSET, HINCRBY");
        }
        _ => {}
    }
    let mut text = format!("ERR unknown command '{name}', with args beginning with: ");
    for word in words.iter().skip(1) {
        if text.len() > 256 {
            break;
        }
        text.push_str(&format!("'{}' ", shown(word)));
    }
    text
}

#[cfg(test)]
mod tests;
