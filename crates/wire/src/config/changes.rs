//! What differs between two configurations, by key, and what of it a running process can take over.

use std::collections::BTreeMap;

use toml::Value;

use super::Config;
use crate::{ChangeKind, KeyChange};

/// Keys that are read once, at the start; what is below them too.
const NEED_RESTART: [&str; 8] = [
    "agent",
    "api",
    "meta",
    "session",
    "ingress.workers",
    "ingress.zone",
    "ingress.handover_socket",
    "ingress.traces",
];

impl Config {
    /// What `newer` says otherwise than this one, by key. Names tell listeners, pools and nodes apart, so that their
    /// order does not matter.
    pub fn changes(&self, newer: &Self) -> Vec<KeyChange> {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten(&written(self), String::new(), &mut before);
        flatten(&written(newer), String::new(), &mut after);
        let mut changes = Vec::new();
        for (key, value) in &after {
            match before.get(key) {
                None => changes.push(change(key, ChangeKind::Added)),
                Some(old) if old != value => changes.push(change(key, ChangeKind::Changed)),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        changes.extend(gone.map(|key| change(key, ChangeKind::Removed)));
        shorten(changes)
    }

    /// This configuration with those keys of `running` that only a start reads: what a process that runs by `running` can
    /// take over.
    #[must_use]
    pub fn applicable_to(&self, running: &Self) -> Self {
        let mut config = self.clone();
        config.agent = running.agent.clone();
        config.api = running.api.clone();
        config.meta = running.meta.clone();
        config.session = running.session.clone();
        config.ingress.workers = running.ingress.workers;
        config.ingress.zone = running.ingress.zone.clone();
        config.ingress.handover_socket = running.ingress.handover_socket.clone();
        config.ingress.traces = running.ingress.traces.clone();
        config
    }
}

fn written(config: &Config) -> Value {
    Value::try_from(config).expect("it was read from TOML, so it can be written as such")
}

fn change(key: &str, kind: ChangeKind) -> KeyChange {
    let below = |root: &&str| {
        key.strip_prefix(*root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    KeyChange {
        key: key.to_owned(),
        kind,
        needs_restart: NEED_RESTART.iter().any(below),
    }
}

/// Every value by its key. What has no value counts as not written.
fn flatten(value: &Value, key: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                flatten(value, key, into);
            }
        }
        Value::Array(elements) if elements.iter().any(|element| name_of(element).is_some()) => {
            for element in elements {
                let name = name_of(element).unwrap_or_default();
                flatten(element, format!("{key}[{name}]"), into);
            }
        }
        other => drop(into.insert(key, other.clone())),
    }
}

/// What a listener, pool or node is called.
fn name_of(element: &Value) -> Option<&str> {
    let name = element.get("name").or_else(|| element.get("id"))?;
    name.as_str()
}

/// A listener, pool or node that came or went is one change, not one for each of its keys.
fn shorten(changes: Vec<KeyChange>) -> Vec<KeyChange> {
    let whole: Vec<(String, ChangeKind)> = changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Changed)
        .filter_map(|change| {
            let named = change
                .key
                .strip_suffix("].name")
                .or_else(|| change.key.strip_suffix("].id"))?;
            Some((format!("{named}]"), change.kind))
        })
        .collect();
    let mut short: Vec<KeyChange> = Vec::new();
    for change in changes {
        let of = |(element, kind): &&(String, ChangeKind)| {
            *kind == change.kind && change.key.starts_with(element.as_str())
        };
        let element = whole.iter().filter(of).min_by_key(|(element, _)| element.len());
        let change = match element {
            Some((element, kind)) => KeyChange {
                key: element.clone(),
                kind: *kind,
                needs_restart: false,
            },
            None => change,
        };
        if !short.contains(&change) {
            short.push(change);
        }
    }
    short.sort_by(|a, b| a.key.cmp(&b.key));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"
        [[listener]]
        name = "web"
        address = "127.0.0.1:8080"
        pool = "app"
        affinity = [{ header = "x-user" }]
        [[pool]]
        name = "app"
        [[pool.node]]
        id = "a"
        address = "127.0.0.1:9001"
        [[pool.node]]
        id = "b"
        address = "127.0.0.1:9002"
    "#;

    fn changed(newer: &str) -> Vec<(String, ChangeKind, bool)> {
        let (old, new) = (Config::parse(FIRST).unwrap(), Config::parse(newer).unwrap());
        let changes = old.changes(&new);
        changes
            .into_iter()
            .map(|c| (c.key, c.kind, c.needs_restart))
            .collect()
    }

    #[test]
    fn each_change_is_told_by_its_key() {
        use ChangeKind::{Added, Changed, Removed};
        let with = |from: &str, to: &str| FIRST.replace(from, to);
        for (newer, key, kind, needs_restart) in [
            (
                with("id = \"a\"", "id = \"a\"\nweight = 2.0"),
                "pool[app].node[a].weight",
                Changed,
                false,
            ),
            (
                with("name = \"app\"", "name = \"app\"\nload_threshold = 70.0"),
                "pool[app].load_threshold",
                Changed,
                false,
            ),
            (
                with(
                    "name = \"app\"",
                    "name = \"app\"\nhandoff_path = \"/h\"\nresume_path = \"/r\"",
                ),
                "pool[app].handoff_path",
                Added,
                false,
            ),
            (with("x-user", "x-id"), "listener[web].affinity", Changed, false),
            (
                format!("{FIRST}[[pool.node]]\nid = \"c\"\naddress = \"127.0.0.1:9003\""),
                "pool[app].node[c]",
                Added,
                false,
            ),
            (
                with(
                    "[[pool.node]]\n        id = \"b\"\n        address = \"127.0.0.1:9002\"",
                    "",
                ),
                "pool[app].node[b]",
                Removed,
                false,
            ),
            (
                format!("{FIRST}[[pool]]\nname = \"more\""),
                "pool[more]",
                Added,
                false,
            ),
            (
                format!("{FIRST}[meta]\npath = \"other.redb\""),
                "meta.path",
                Changed,
                true,
            ),
            (
                format!("{FIRST}[ingress]\nworkers = 3"),
                "ingress.workers",
                Added,
                true,
            ),
            (
                format!("{FIRST}[ingress.limits]\nheaders = 30"),
                "ingress.limits.headers",
                Changed,
                false,
            ),
        ] {
            let found = changed(&newer);
            assert!(
                found.contains(&(key.into(), kind, needs_restart)),
                "{key}: {found:?}"
            );
        }
    }

    #[test]
    fn what_came_or_went_whole_is_one_change() {
        let found = changed(&format!(
            "{FIRST}[[pool]]\nname = \"more\"\n[[pool.node]]\nid = \"x\"\naddress = \"127.0.0.1:1\""
        ));
        assert_eq!(found, [("pool[more]".to_owned(), ChangeKind::Added, false)]);
    }

    #[test]
    fn the_same_in_another_order_is_no_change() {
        let swapped = FIRST
            .replace("\"a\"", "\"?\"")
            .replace("\"b\"", "\"a\"")
            .replace("\"?\"", "\"b\"");
        let swapped = swapped
            .replace("9001", "9000")
            .replace("9002", "9001")
            .replace("9000", "9002");
        assert_eq!(changed(&swapped), []);
    }

    #[test]
    fn what_only_a_start_reads_stays_as_it_runs() {
        let old = Config::parse(FIRST).unwrap();
        let new = Config::parse(&format!(
            "{FIRST}[meta]\npath = \"other.redb\"\n[ingress]\nworkers = 3\naccess_log = \"text\""
        ))
        .unwrap();
        let taken = new.applicable_to(&old);
        assert_eq!((&taken.meta, taken.ingress.workers), (&old.meta, None));
        assert_eq!(taken.ingress.access_log, new.ingress.access_log);
        assert!(old.changes(&taken).iter().all(|change| !change.needs_restart));
    }
}
