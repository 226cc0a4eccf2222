//! Rules about the sources: headers, lengths, what must not be left behind, what pure code must not call.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{Finding, PURE, code};

const LINES_MAX: usize = 700;

/// Never in code that lands.
const LEFT_BEHIND: [(&str, &str); 5] = [
    ("todo!(", "do it, or leave it out and say so in CHANGELOG.md"),
    (
        "unimplemented!(",
        "do it, or leave it out and say so in CHANGELOG.md",
    ),
    ("dbg!(", "remove it, or log through tracing"),
    ("#[ignore]", "mend the test or remove it"),
    ("#[ignore =", "mend the test or remove it"),
];

/// Never in a pure crate: clocks, sockets and waiting are the shell's.
const IMPURE: [(&str, &str); 8] = [
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime::now", "take `now` as an argument"),
    ("thread::sleep", "return an action with a time instead"),
    ("thread::spawn", "threads are the shell's"),
    ("TcpStream", "sockets are the shell's"),
    ("TcpListener", "sockets are the shell's"),
    ("UdpSocket", "sockets are the shell's"),
    ("rand::rng()", "take an `Rng` as an argument"),
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in ["crates", "fuzz", "xtask"] {
        walk(root, &root.join(folder), &mut findings)?;
    }
    Ok(findings)
}

fn walk(root: &Path, folder: &Path, findings: &mut Vec<Finding>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(root, &path, findings)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            findings.extend(file(&name, &text));
        }
    }
    Ok(())
}

/// What is wrong with one file. `name` is its path from the root.
fn file(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line: usize, message: String| {
        findings.push(Finding {
            file: name.to_owned(),
            line,
            message,
        });
    };
    if !text.starts_with("//! ") {
        found(
            1,
            "begin with a module header `//!`: what it does, why so, what it leaves to others".into(),
        );
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found(
            0,
            format!("{lines} lines, over {LINES_MAX}: look for the missing noun and split it out"),
        );
    }
    let pure = is_pure(name);
    for (number, line) in (1..).zip(code::only(text).lines()) {
        let impure = IMPURE.iter().filter(|_| pure);
        for (pattern, advice) in LEFT_BEHIND.iter().chain(impure) {
            if line.contains(pattern) {
                found(number, format!("`{pattern}`: {advice}"));
            }
        }
    }
    findings
}

/// Whether it is the code of a pure crate; its benches may use a clock.
fn is_pure(name: &str) -> bool {
    PURE.iter().any(|folder| {
        let of_the_crate = name
            .strip_prefix("crates/")
            .and_then(|name| name.strip_prefix(folder));
        of_the_crate.is_some_and(|rest| rest.starts_with("/src/") || rest.starts_with("/tests/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_is_found_with_its_line() {
        for (name, text, line) in [
            ("crates/wire/src/a.rs", "fn a() {}\n", 1),
            ("crates/wire/src/a.rs", "//! A.\nfn a() { todo!() }\n", 2),
            ("crates/wire/src/a.rs", "//! A.\n\n#[ignore]\n", 3),
            ("crates/wire/tests/a.rs", "//! A.\nfn a() { dbg!(1); }\n", 2),
            (
                "crates/placement/src/a.rs",
                "//! A.\nlet now = Instant::now();\n",
                2,
            ),
            (
                "crates/migration/src/a/b.rs",
                "//! A.\nuse std::net::TcpStream;\n",
                2,
            ),
            (
                "xtask/src/a.rs",
                &format!("//! A.\n{}", "\n".repeat(LINES_MAX)),
                0,
            ),
        ] {
            let findings = file(name, text);
            assert_eq!(findings.len(), 1, "{name}: {text:?}: {findings:?}");
            assert_eq!(findings[0].line, line, "{name}: {text:?}");
        }
    }

    #[test]
    fn words_and_other_places_are_not() {
        for (name, text) in [
            (
                "crates/wire/src/a.rs",
                "//! A.\n// todo!() is for later\nlet a = \"dbg!(1)\";\n",
            ),
            ("crates/ingress/src/a.rs", "//! A.\nlet now = Instant::now();\n"),
            (
                "crates/placement/benches/a.rs",
                "//! A.\nlet now = Instant::now();\n",
            ),
            ("crates/placement/src/a.rs", "//! A.\nuse std::net::IpAddr;\n"),
        ] {
            assert_eq!(file(name, text), [], "{name}: {text:?}");
        }
    }
}
