//! What the parser says, in the words of someone who edits the file.

use toml::de::Error;

use super::{
    ConfigError,
    place::{Places, line_at},
};

/// The text is no TOML.
pub(super) fn syntax(text: &str, error: &Error) -> ConfigError {
    ConfigError {
        key: String::new(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        message: error.message().trim().replace('\n', ", "),
    }
}

/// The text is TOML, but not a configuration.
pub(super) fn mismatch(places: &Places<'_>, error: &serde_path_to_error::Error<Error>) -> ConfigError {
    let message = error.inner().message().trim();
    let path = match error.path().to_string() {
        path if path == "." => String::new(),
        path => path,
    };
    let (name, text) = match message.split_once('`') {
        Some(("unknown field ", rest)) => (rest.split('`').next(), unknown(message, "key")),
        Some(("unknown variant ", _)) => (None, unknown(message, "value")),
        Some(("missing field ", rest)) => {
            let name = rest.split('`').next();
            (name, "is missing; it has no default".to_owned())
        }
        _ => (None, plain(message)),
    };
    let key = match name {
        Some(name) if last(&path) != name => join(&path, name),
        _ => path,
    };
    let line = match error.inner().span() {
        Some(span) if !message.starts_with("missing field") => places.line_at(span.start),
        _ => places.line_of(&key),
    };
    ConfigError {
        key,
        line,
        message: text,
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.into(),
        _ => format!("{path}.{name}"),
    }
}

/// `unknown field "x", expected one of "a", "b"` in other words, and which of them may have been meant.
fn unknown(message: &str, what: &str) -> String {
    // serde quotes names with backticks, the wrong one first.
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let list = known.join(", ");
    match nearest(wrong, &known) {
        Some(near) => format!("unknown {what} {wrong:?}, did you mean {near:?}? Known here: {list}"),
        None => format!("unknown {what} {wrong:?}. Known here: {list}"),
    }
}

/// The name that `wrong` was most probably meant to be.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    let near = |name: &&&str| name.starts_with(&wrong) || distance(&wrong, name) <= wrong.len().max(3) / 3;
    known
        .iter()
        .filter(|_| !wrong.is_empty())
        .filter(near)
        .min_by_key(|name| distance(&wrong, name))
        .copied()
}

/// Levenshtein distance in bytes. Both are at most as long as a line of a file of ours.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Rust's names of types mean nothing to most who edit a configuration.
const TYPES: [(&str, &str); 10] = [
    ("expected u8", "write a whole number from 0 to 255"),
    ("expected u16", "write a whole number from 0 to 65535"),
    ("expected u32", "write a whole number from 0 to 4294967295"),
    ("expected u64", "write a whole number, 0 or above"),
    ("expected f64", "write a number"),
    ("expected a boolean", "write true or false"),
    ("expected a string", "write a text in quotes"),
    ("expected path string", "write a path in quotes"),
    ("expected a sequence", "write a list in [ ]"),
    ("expected a map", "write a table"),
];

fn plain(message: &str) -> String {
    if message.contains("invalid socket address syntax") {
        return "not an address: write an IP address and a port, as in \"127.0.0.1:8080\"".into();
    }
    let Some((what, expected)) = message.rsplit_once(", ") else {
        return message.replace('\n', ", ");
    };
    let what = what
        .replace("invalid type: ", "wrong type: ")
        .replace("invalid value: ", "wrong value: ")
        .replace('`', "");
    match TYPES.iter().find(|(rust, _)| *rust == expected) {
        Some((_, plain)) => format!("{what}; {plain}"),
        None if expected.starts_with("expected struct") => format!("{what}; write a table"),
        None => format!("{what}, {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_could_have_been_meant() {
        let known = ["load_threshold", "headroom", "rise", "fall", "health", "id"];
        for (wrong, near) in [
            ("load_treshold", Some("load_threshold")),
            ("load-threshold", Some("load_threshold")),
            ("Headroom", Some("headroom")),
            ("load", Some("load_threshold")),
            ("raise", Some("rise")),
            ("colour", None),
            ("", None),
            ("ids", Some("id")),
        ] {
            assert_eq!(nearest(wrong, &known), near, "{wrong}");
        }
    }
}
