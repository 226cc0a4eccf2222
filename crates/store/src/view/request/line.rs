//! Commands as people type them: words in a line, quoted where need be.

use bytes::{Bytes, BytesMut};

use super::{LINE_MAX, Malformed};

/// The words of the line at the front of `input`; `None` where it is not whole yet.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<Vec<Bytes>>, Malformed> {
    let head = &input[..input.len().min(LINE_MAX)];
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        let too_long = (head.len() == LINE_MAX).then(|| Malformed::new("too big inline request"));
        return too_long.map_or(Ok(None), Err);
    };
    let line = input.split_to(end + 1);
    let words = words(&line).ok_or_else(|| Malformed::new("unbalanced quotes in request"))?;
    Ok(Some(words))
}

/// Splits a line; `None` where a quote is not closed, or something sticks to its end.
fn words(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let (word, after) = match rest[0] {
            b'"' => quoted(&rest[1..])?,
            b'\'' => plainly_quoted(&rest[1..])?,
            _ => bare(rest),
        };
        if after.first().is_some_and(|b| !b.is_ascii_whitespace()) {
            return None;
        }
        words.push(word.into());
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn bare(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace);
    let (word, after) = text.split_at(end.unwrap_or(text.len()));
    (word.to_vec(), after)
}

/// In double quotes: `\n`, `\x41` and so on stand for other bytes.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut word, mut rest) = (Vec::new(), text);
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((word, rest)),
            b'\\' => {
                let (byte, after) = escaped(rest)?;
                word.push(byte);
                rest = after;
            }
            other => word.push(*other),
        }
    }
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    if *first == b'x' {
        let digits = rest.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            return Some((byte, &rest[2..]));
        }
    }
    let byte = match first {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => *other,
    };
    Some((byte, rest))
}

/// In single quotes: only `\'` stands for another byte.
fn plainly_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut word, mut rest) = (Vec::new(), text);
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match (first, rest.first()) {
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                rest = &rest[1..];
            }
            (b'\'', _) => return Some((word, rest)),
            (other, _) => word.push(*other),
        }
    }
}
