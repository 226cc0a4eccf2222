//! Patterns of `MATCH`, as Redis has them: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a byte that is meant as it is.
//!
//! Only the last `*` is tried anew, which is enough: so the work is at most the product of both lengths, where the obvious
//! recursion takes time without end for `a*a*a*…b`.

/// Whether all of `text` matches.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while here < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            again = Some((at, here));
            continue;
        }
        match one(&pattern[at..], text[here]) {
            Some(used) => {
                at += used;
                here += 1;
            }
            None => {
                let Some((star, from)) = again else {
                    return false;
                };
                again = Some((star, from + 1));
                (at, here) = (star, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern matches this byte; `None` where it does not.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ref class @ ..] => {
            let (is_in, used) = in_class(class, byte);
            is_in.then_some(used + 1)
        }
        [b'\\', meant, ..] => (meant == byte).then_some(2),
        [first, ..] => (first == byte).then_some(1),
    }
}

/// Whether a byte is in the class that begins after `[`, and how long the class is with its `]`; one that is not closed reaches to the end.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let is_negated = class.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut found = false;
    while let Some(first) = class.get(at) {
        match (first, &class[at + 1..]) {
            (b']', _) => return (found != is_negated, at + 1),
            (b'\\', [meant, ..]) => {
                found |= *meant == byte;
                at += 2;
            }
            (low, [b'-', high, ..]) if *high != b']' => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            (other, _) => {
                found |= *other == byte;
                at += 1;
            }
        }
    }
    (found != is_negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", true),
            ("[a-c]", "d", false),
            ("[a-]", "-", true),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("item/*", "item/1", true),
            ("[abc", "b", true),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                is,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let pattern = [b"a*".repeat(500), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &[b'a'; 1000]));
    }
}
