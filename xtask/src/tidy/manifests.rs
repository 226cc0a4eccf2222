//! The two rules of direction, from the crates' manifests.
//!
//! A pure crate depends on no runtime, no socket, no clock and, of ours, only on `wire`. `ingress` and `control`
//! never reach each other, and what both reach is `wire`, `meta`, or as good as pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Finding, PURE};

/// Crates that bring a runtime, a socket, a disk or a clock. A name that ends in `*` stands for all that begin so.
const IMPURE: [&str; 24] = [
    "async-io",
    "async-std",
    "axum*",
    "chrono",
    "coarsetime",
    "crossbeam-channel",
    "futures-timer",
    "h2",
    "hyper*",
    "jiff",
    "libc",
    "mio",
    "nix",
    "quanta",
    "redb",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio*",
    "tonic",
    "tungstenite",
    "ureq",
];

/// What `ingress` and `control` may both depend on besides the pure crates. The core of `telemetry` is pure.
const MEETING_PLACES: [&str; 4] = ["meta", "telemetry", "tls", "wire"];

const OURS: &str = "foreshift-";

/// Dependencies of a crate: by folder where ours, by name where not. Those of tests count too.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut crates = Dependencies::new();
    for folder in fs::read_dir(root.join("crates")).context("read crates/")? {
        let folder = folder?;
        let file = folder.path().join("Cargo.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let manifest: Table = text
            .parse()
            .with_context(|| format!("parse {}", file.display()))?;
        crates.insert(
            folder.file_name().to_string_lossy().into_owned(),
            dependencies(&manifest),
        );
    }
    Ok(findings(&crates))
}

fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(per_target)
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| table.get(kind))
        })
        .filter_map(|table| table?.as_table())
        .flat_map(|table| table.iter().map(|(name, spec)| package(name, spec)))
        .collect()
}

/// The package behind a dependency that may be renamed.
fn package(name: &str, spec: &Value) -> String {
    spec.get("package")
        .and_then(Value::as_str)
        .unwrap_or(name)
        .to_owned()
}

fn findings(crates: &Dependencies) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |folder: &str, message: String| {
        findings.push(Finding {
            file: format!("crates/{folder}/Cargo.toml"),
            line: 0,
            message,
        });
    };
    for (folder, dependencies) in crates
        .iter()
        .filter(|(folder, _)| PURE.contains(&folder.as_str()))
    {
        for dependency in dependencies {
            if is_impure(dependency) {
                found(
                    folder,
                    format!(
                        "`{folder}` is pure and must not depend on `{dependency}`: take its values as arguments"
                    ),
                );
            }
            if ours(dependency).is_some_and(|ours| ours != "wire") {
                found(
                    folder,
                    format!("`{folder}` is pure and may use only `wire` of ours, not `{dependency}`"),
                );
            }
        }
    }
    for (from, to) in [("ingress", "control"), ("control", "ingress")] {
        if reach(crates, from).contains(to) {
            found(
                from,
                format!("`{from}` reaches `{to}`: they meet only in `wire` and `meta`"),
            );
        }
    }
    let shared: Vec<_> = reach(crates, "ingress")
        .intersection(&reach(crates, "control"))
        .cloned()
        .collect();
    for both in shared {
        if !MEETING_PLACES.contains(&both.as_str()) && !PURE.contains(&both.as_str()) {
            found(
                "ingress",
                format!("`ingress` and `control` both reach `{both}`: they meet only in `wire` and `meta`"),
            );
        }
    }
    findings
}

fn is_impure(package: &str) -> bool {
    IMPURE.iter().any(|impure| match impure.strip_suffix('*') {
        Some(beginning) => package.starts_with(beginning),
        None => package == *impure,
    })
}

fn ours(package: &str) -> Option<&str> {
    package.strip_prefix(OURS)
}

/// All of our crates that `from` depends on, directly or not.
fn reach(crates: &Dependencies, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(folder) = open.pop() {
        let next = crates
            .get(&folder)
            .into_iter()
            .flatten()
            .filter_map(|package| ours(package));
        open.extend(
            next.filter(|next| reached.insert((*next).to_owned()))
                .map(str::to_owned),
        );
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(text: &str) -> Dependencies {
        let split = |line: &str| {
            let (folder, dependencies) = line.split_once(':').unwrap();
            (
                folder.to_owned(),
                dependencies.split_ascii_whitespace().map(str::to_owned).collect(),
            )
        };
        text.split(';').map(split).collect()
    }

    #[test]
    fn a_wrong_direction_is_found() {
        for (text, place, word) in [
            ("placement:tokio", "placement", "tokio"),
            ("placement:tokio-util", "placement", "tokio-util"),
            ("forecast:hyper-util", "forecast", "hyper-util"),
            ("migration:foreshift-meta", "migration", "only `wire`"),
            ("ingress:foreshift-control", "ingress", "reaches `control`"),
            (
                "control:foreshift-lab;lab:foreshift-ingress",
                "control",
                "reaches `ingress`",
            ),
            (
                "control:foreshift-lab;ingress:foreshift-lab",
                "ingress",
                "both reach `lab`",
            ),
        ] {
            let findings = findings(&crates(text));
            assert_eq!(findings.len(), 1, "{text}: {findings:?}");
            assert_eq!(findings[0].file, format!("crates/{place}/Cargo.toml"), "{text}");
            assert!(findings[0].message.contains(word), "{text}: {findings:?}");
        }
    }

    #[test]
    fn a_right_direction_is_not() {
        for text in [
            "placement:foreshift-wire siphasher rand proptest divan",
            "ingress:tokio foreshift-meta foreshift-placement;control:tokio foreshift-meta foreshift-placement",
            "foreshift:foreshift-ingress foreshift-control",
        ] {
            assert_eq!(findings(&crates(text)), [], "{text}");
        }
    }

    #[test]
    fn dependencies_of_every_kind_and_by_another_name_count() {
        let manifest = "[dependencies]\na = '1'\nb = { package = 'tokio' }\n[dev-dependencies]\nc = '1'\n\
                        [target.'cfg(unix)'.dependencies]\nd = '1'";
        let found = dependencies(&manifest.parse().unwrap());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "d", "tokio"]);
    }
}
