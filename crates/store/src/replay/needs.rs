//! Which partitions a node requires.

use foreshift_wire::{NodeId, PartitionName, PartitionPattern, PoolName, Session, SessionPartition};

use crate::sessions::declared;

/// What one node requires of sessions of one pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    pub(crate) config: &'a Session,
    pub(crate) pool: &'a PoolName,
    pub(crate) node: &'a NodeId,
    /// What the node itself says.
    pub(crate) required: &'a [PartitionPattern],
}

impl Needs<'_> {
    /// Whether the node is told of a partition. Of a secret one only where it is required by name: `*` does not mean it.
    pub(crate) fn includes(&self, partition: &PartitionName) -> bool {
        let declared = declared(self.config, Some(self.pool), partition);
        let is_secret = declared.is_some_and(|d| d.secret);
        let says = self.required.iter().filter(|p| p.matches(partition));
        let by_node = says.map(PartitionPattern::is_all);
        let by_store = declared.into_iter().flat_map(|d| self.names(d));
        by_node.chain(by_store).any(|is_all| !(is_secret && is_all))
    }

    /// Whether there is nothing that the node could be told of.
    pub(crate) fn is_nothing(&self) -> bool {
        let of_pool = |d: &&SessionPartition| d.pool.as_ref().is_none_or(|pool| pool == self.pool);
        let mut declared = self.config.partition.iter().filter(of_pool);
        self.required.is_empty() && !declared.any(|d| self.names(d).next().is_some())
    }

    /// For each time that a declaration means the node: whether it means all nodes.
    fn names(&self, declared: &SessionPartition) -> impl Iterator<Item = bool> {
        let means = |id: &String| match id.as_str() {
            "*" => Some(true),
            id => (id == self.node.as_str()).then_some(false),
        };
        declared.required_by.iter().filter_map(means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, pool: Option<&str>, required_by: &[&str], secret: bool) -> SessionPartition {
        SessionPartition {
            name: name.parse().unwrap(),
            pool: pool.map(|pool| PoolName::new(pool).unwrap()),
            max_bytes: None,
            lifetime: None,
            required_by: required_by.iter().map(|id| (*id).into()).collect(),
            secret,
        }
    }

    #[test]
    fn a_node_is_told_of_what_it_requires_and_of_secrets_only_by_name() {
        let config = Session {
            partition: vec![
                declared("auth", None, &[], true),
                declared("key", None, &["*"], true),
                declared("pin", None, &["a"], true),
                declared("log", None, &["a"], false),
                declared("all", None, &["*"], false),
                // The first that matches counts.
                declared("game/map", None, &[], false),
                declared("game/*", None, &[], true),
                declared("other", Some("other"), &["a"], false),
            ],
            ..Session::default()
        };
        let pool = PoolName::new("app").unwrap();
        for (node, required, partition, is_told) in [
            ("a", &["cart"][..], "cart", true),
            ("a", &["cart"], "carts", false),
            ("a", &["game/*"], "game/map", true),
            ("a", &[], "cart", false),
            ("a", &["*"], "cart", true),
            ("a", &["*"], "auth", false),
            ("a", &["*", "auth"], "auth", true),
            ("a", &[], "log", true),
            ("b", &[], "log", false),
            ("b", &[], "all", true),
            ("b", &["*"], "key", false),
            ("a", &[], "pin", true),
            ("b", &[], "pin", false),
            ("a", &[], "other", false),
            ("a", &["*"], "game/map", true),
            ("a", &["*"], "game/key", false),
        ] {
            let required: Vec<PartitionPattern> = required.iter().map(|p| p.parse().unwrap()).collect();
            let needs = Needs {
                config: &config,
                pool: &pool,
                node: &NodeId::new(node).unwrap(),
                required: &required,
            };
            let name = partition.parse().unwrap();
            assert_eq!(needs.includes(&name), is_told, "{node} {required:?} {partition}");
            assert!(!is_told || !needs.is_nothing(), "{node} {required:?} {partition}");
        }
    }
}
