//! Links between the documents: what they point to is there.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::Finding;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                let there = |target: &str| folder.join(target).exists();
                findings.extend(document(&name, &text, there));
            }
        }
    }
    Ok(findings)
}

/// The links of one document that lead nowhere.
fn document(name: &str, text: &str, is_there: impl Fn(&str) -> bool) -> Vec<Finding> {
    let lines = (1..).zip(text.lines());
    let links = lines.flat_map(|(line, text)| targets(text).map(move |target| (line, target)));
    let dead = links.filter(|(_, target)| is_of_the_project(target) && !is_there(file_of(target)));
    let finding = |(line, target)| Finding {
        file: name.to_owned(),
        line,
        message: format!("the link to `{target}` leads nowhere"),
    };
    dead.map(finding).collect()
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
}

fn is_of_the_project(target: &str) -> bool {
    !target.contains("://") && !target.starts_with('#')
}

fn file_of(target: &str) -> &str {
    target.split_once('#').map_or(target, |(file, _)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_is_found_with_its_line() {
        let text = "[a](there.md) [b](there.md#part)\n[c](https://example.org/x) [d](#part) [e](gone.md)";
        let findings = document("README.md", text, |target| target == "there.md");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 2);
        assert!(findings[0].message.contains("gone.md"));
    }
}
