//! Rust source with its comments and literals blanked, so that a rule about code does not trip over words.
//!
//! A scanner of the few token kinds that can hide others, not a parser: strings, raw strings, characters, comments.

/// `text` with the insides of comments and literals turned to spaces. Lines stay where they are.
pub(super) fn only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let hidden = hidden_length(rest);
        let (part, after) = if hidden > 0 {
            rest.split_at(hidden)
        } else {
            split_first_token(rest)
        };
        if hidden > 0 {
            code.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(part);
        }
        rest = after;
    }
    code
}

/// A word as a whole, so that the `r` that ends `for` does not begin a raw string; else one character.
fn split_first_token(text: &str) -> (&str, &str) {
    let word = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let first = text.chars().next().map_or(0, char::len_utf8);
    text.split_at(word.max(first))
}

/// Length of the comment or literal that `text` begins with; 0 where it begins with code.
fn hidden_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let literal = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let prefix = text.len() - literal.len();
    if literal.starts_with('"') {
        return prefix + quoted(literal, '"');
    }
    if let Some(raw) = literal.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &raw[hashes + 1..];
            let length = body.find(&end).map_or(body.len(), |at| at + end.len());
            return prefix + 1 + hashes + 1 + length;
        }
    }
    if literal.starts_with('\'') && is_character(literal) {
        return prefix + quoted(literal, '\'');
    }
    0
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'a'` and `'\n'`, not the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!(
        (chars.next(), chars.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_blanked_and_the_rest_kept() {
        // `~` stands for a blank where something was hidden.
        for (text, code) in [
            ("a // dbg!\nb", "a ~~~~~~~\nb"),
            ("a /* x /* y */ z */ b", "a ~~~~~~~~~~~~~~~~~ b"),
            (r#"f("dbg!(\"") + g"#, "f(~~~~~~~~~) + g"),
            (r##"f(r#"a"b"#) + g"##, "f(~~~~~~~~) + g"),
            ("for r in x", "for r in x"),
            (r"f('\'', 'x') + 'static", "f(~~~~, ~~~) + 'static"),
            ("b\"x\" é", "~~~~ é"),
            ("let r = 1; br", "let r = 1; br"),
            ("\"open", "~~~~~"),
        ] {
            let code = code.replace('~', " ");
            assert_eq!(only(text), code, "{text}");
        }
    }
}
