//! The messages and headers of `foreshift.v1`.

use serde_json::{Map, Value, json};

const MARK: char = '\u{1e}';

/// An instruction to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrate {
    /// Where to.
    pub url: String,
    /// To be shown there.
    pub token: String,
    /// Time for the move, from the end of the delay.
    pub within_ms: u64,
    /// To be waited first.
    pub delay_ms: u64,
    /// Why, for people.
    pub reason: String,
}

impl Migrate {
    /// Reads a text message. `None`: it is the application's own.
    pub fn from_message(text: &str) -> Option<Self> {
        let object = object(text)?;
        if object.get("foreshift")? != "migrate" {
            return None;
        }
        let absent_or = |name: &str| object.get(name).map_or(Some(0), Value::as_u64);
        Some(Self {
            url: object.get("url")?.as_str()?.into(),
            token: object.get("token")?.as_str()?.into(),
            within_ms: object.get("within_ms")?.as_u64()?,
            delay_ms: absent_or("delay_ms")?,
            reason: object
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
        })
    }

    /// Reads a value of `Foreshift-Migrate`: a list of parameters, of which those that are not known are passed over.
    pub fn from_header(value: &str) -> Option<Self> {
        let (mut url, mut token, mut within_ms, mut delay_ms) = (None, None, None, 0);
        let mut rest = value;
        while !rest.is_empty() {
            let (name, after) = split_name(rest);
            let (given, after) = match after.strip_prefix('=') {
                Some(after) => parameter(after)?,
                None => (Given::Nothing, after),
            };
            match (name, given) {
                ("url", Given::Text(text)) => url = Some(text),
                ("token", Given::Text(text)) => token = Some(text),
                ("within", Given::Word(word)) => within_ms = Some(number(word)?.checked_mul(1_000)?),
                ("delay", Given::Word(word)) => delay_ms = number(word)?,
                ("url" | "token" | "within" | "delay" | "", _) => return None,
                _ => {}
            }
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => "",
                None => return None,
            };
        }
        Some(Self {
            url: url?,
            token: token?,
            within_ms: within_ms?,
            delay_ms,
            reason: String::new(),
        })
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text.strip_prefix(MARK)?).ok()
}

enum Given<'a> {
    Nothing,
    Word(&'a str),
    Text(String),
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A word or a quoted text, and what is behind it.
fn parameter(text: &str) -> Option<(Given<'_>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', ';']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return (!word.is_empty()).then_some((Given::Word(word), rest));
    };
    let mut plain = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Given::Text(plain), &quoted[at + 1..])),
            '\\' => plain.push(chars.next()?.1),
            c => plain.push(c),
        }
    }
    None
}

fn number(word: &str) -> Option<u64> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// The session that a new connection's first message names. `None`: it says something else.
pub(super) fn resumed(text: &str) -> Option<String> {
    let object = object(text)?;
    let resumed = object.get("foreshift")? == "resumed";
    resumed
        .then(|| object.get("session")?.as_str().map(str::to_owned))
        .flatten()
}

pub(super) fn moved(token: &str) -> String {
    let token = json!(token);
    format!("{MARK}{{\"foreshift\":\"moved\",\"token\":{token}}}")
}

pub(super) fn refused(reason: &str) -> String {
    let reason = json!(reason);
    format!("{MARK}{{\"foreshift\":\"refused\",\"reason\":{reason}}}")
}
