//! What a node is told of one partition: nothing, a change, all, or that it is gone.

use std::collections::BTreeSet;

use bytes::Bytes;
use foreshift_wire::Version;

use super::Known;
use crate::engine::Head;

/// What a node is told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tell {
    /// It lacks nothing for sure.
    Nothing,
    /// What changed since this version, which it is thought to hold; may be nothing.
    Since(Version),
    /// All that there is.
    All,
    /// That there is nothing any more.
    Gone,
}

/// Compares what there is of a partition with what a node holds of it. `left` are parts that it is not to be told of.
pub(crate) fn tell(head: Option<&Head>, known: Option<&Known>, left: &BTreeSet<Bytes>) -> Tell {
    match (head, known) {
        (None, None) => Tell::Nothing,
        (None, Some(_)) => Tell::Gone,
        (Some(head), None) if head.keys == 0 => Tell::Nothing,
        (Some(_), None) => Tell::All,
        (Some(_), Some(known)) if known.version == Version(0) => Tell::All,
        // It lacks parts that it needs now; their keys may be older than what it holds.
        (Some(_), Some(known)) if !known.left.is_subset(left) => Tell::All,
        // The store lost writes that the node has: they never were.
        (Some(head), Some(known)) if known.version > head.version => Tell::All,
        (Some(head), Some(known)) if known.version == head.version && known.is_new => Tell::Nothing,
        // Also where nothing changed: a node that was restarted says then that it does not hold it.
        (Some(_), Some(known)) => Tell::Since(known.version),
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::PartitionName;

    use super::*;

    #[test]
    fn a_node_is_told_what_it_lacks() {
        let head = |version, keys| Head {
            name: PartitionName::new("cart").unwrap(),
            version: Version(version),
            floor: Version(0),
            keys,
            bytes: 0,
            expires_ms: None,
        };
        let parts = |names: &[&'static str]| names.iter().map(|name| Bytes::from(*name)).collect();
        let known = |version, left: &[&'static str]| Known {
            version: Version(version),
            left: parts(left),
            is_new: false,
        };
        let new = |version, left: &[&'static str]| Known {
            is_new: true,
            ..known(version, left)
        };
        for (head, known, left, expected) in [
            (None, None, &[][..], Tell::Nothing),
            (None, Some(known(9, &[])), &[], Tell::Gone),
            (Some(head(9, 0)), None, &[], Tell::Nothing),
            (None, Some(known(0, &[])), &[], Tell::Gone),
            (Some(head(9, 0)), Some(known(0, &[])), &[], Tell::All),
            (Some(head(9, 1)), None, &[], Tell::All),
            (
                Some(head(9, 1)),
                Some(known(9, &[])),
                &[],
                Tell::Since(Version(9)),
            ),
            (Some(head(9, 1)), Some(new(9, &[])), &[], Tell::Nothing),
            (
                Some(head(9, 1)),
                Some(known(7, &[])),
                &[],
                Tell::Since(Version(7)),
            ),
            (
                Some(head(9, 0)),
                Some(known(7, &[])),
                &[],
                Tell::Since(Version(7)),
            ),
            (Some(head(9, 1)), Some(known(11, &[])), &[], Tell::All),
            (Some(head(9, 1)), Some(new(9, &["a"])), &["a"], Tell::Nothing),
            (Some(head(9, 1)), Some(new(9, &["a"])), &["a", "b"], Tell::Nothing),
            (Some(head(9, 1)), Some(known(9, &["a"])), &["b"], Tell::All),
            (Some(head(9, 1)), Some(known(9, &["a"])), &[], Tell::All),
            (
                Some(head(9, 1)),
                Some(known(7, &["a"])),
                &["a"],
                Tell::Since(Version(7)),
            ),
        ] {
            let told = tell(head.as_ref(), known.as_ref(), &parts(left));
            assert_eq!(told, expected, "{head:?} {known:?} {left:?}");
        }
    }
}
