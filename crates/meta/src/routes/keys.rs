//! Every key of the store.
//!
//! Names of pools and nodes are letters, digits, `.`, `_` and `-` (checked by their types), so no name can reach out
//! of its place: a `/` is always ours. Numbers that are ordered are padded.

use foreshift_wire::{MoveId, NodeId, PoolName, SessionId};

/// The cluster secret, 32 hexadecimal digits.
pub const SECRET: &str = "secret";

/// The keys that sign what clients are told, as [`super::SigningKeys`].
pub const SIGNING_KEYS: &str = "signing_keys";

/// Prefix of all that belongs to a pool.
pub fn pool(pool: &PoolName) -> String {
    format!("pools/{pool}/")
}

/// Prefix of a pool's nodes.
pub fn nodes(pool: &PoolName) -> String {
    format!("pools/{pool}/nodes/")
}

/// A [`foreshift_wire::NodeRecord`].
pub fn node(pool: &PoolName, id: &NodeId) -> String {
    format!("pools/{pool}/nodes/{id}")
}

/// Prefix of a pool's overrides.
pub fn overrides(pool: &PoolName) -> String {
    format!("pools/{pool}/overrides/")
}

/// A [`foreshift_wire::Override`].
pub fn override_of(pool: &PoolName, session: SessionId) -> String {
    format!("pools/{pool}/overrides/{session}")
}

/// Prefix of a pool's moved buckets.
pub fn buckets(pool: &PoolName) -> String {
    format!("pools/{pool}/buckets/")
}

/// A [`foreshift_wire::MovedBucket`].
pub fn bucket(pool: &PoolName, bucket: u16) -> String {
    format!("pools/{pool}/buckets/{bucket:05}")
}

/// Prefix of a pool's moves.
pub fn moves(pool: &PoolName) -> String {
    format!("pools/{pool}/moves/")
}

/// A [`foreshift_wire::Move`]; keys sort as ids do.
pub fn move_of(pool: &PoolName, id: MoveId) -> String {
    format!("pools/{pool}/moves/{:020}", id.0)
}

/// What a key under [`pool`] is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Node(NodeId),
    Override(SessionId),
    Bucket(u16),
    Move,
}

/// Reads a key of a pool; `None` for one that this version does not know.
pub(crate) fn parse(pool: &PoolName, key: &str) -> Option<Kind> {
    let rest = key
        .strip_prefix("pools/")?
        .strip_prefix(pool.as_str())?
        .strip_prefix('/')?;
    let (kind, id) = rest.split_once('/')?;
    match kind {
        "nodes" => NodeId::new(id).ok().map(Kind::Node),
        "overrides" => id.parse().ok().map(Kind::Override),
        "buckets" => id.parse().ok().map(Kind::Bucket),
        "moves" => Some(Kind::Move),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_pool_reads_back_and_belongs_to_no_other_pool() {
        let name = |text| PoolName::new(text).unwrap();
        let (app, app2) = (name("app"), name("app.2"));
        let id = NodeId::new("a").unwrap();
        for (key, kind) in [
            (node(&app, &id), Kind::Node(id.clone())),
            (override_of(&app, SessionId(7)), Kind::Override(SessionId(7))),
            (bucket(&app, 65_535), Kind::Bucket(65_535)),
            (move_of(&app, MoveId(9)), Kind::Move),
        ] {
            assert_eq!(parse(&app, &key), Some(kind), "{key}");
            assert_eq!(parse(&app2, &key), None, "{key}");
            assert!(
                key.starts_with(&pool(&app)) && !key.starts_with(&pool(&app2)),
                "{key}"
            );
        }
        assert_eq!(parse(&app, "pools/app/overrides/no-session"), None);
        assert_eq!(parse(&app, "pools/app/later/x"), None);
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        for text in ["a/b", "../a", "a%2fb", "a b", ""] {
            assert!(
                PoolName::new(text).is_err() && NodeId::new(text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn moves_sort_by_id() {
        let app = PoolName::new("app").unwrap();
        assert!(move_of(&app, MoveId(9)) < move_of(&app, MoveId(10)));
        assert!(move_of(&app, MoveId(10)) < move_of(&app, MoveId(u64::MAX)));
    }
}
