//! One node a bucket: 128 KiB, shared until one changes.

use std::sync::Arc;

use super::{BUCKETS, NodeIndex};

/// Stands for "no node"; [`super::NODES_MAX`] keeps it from being one.
const NONE: u16 = u16::MAX;

#[derive(Debug, Clone)]
pub(super) struct Buckets(Arc<[u16; BUCKETS]>);

impl Buckets {
    /// No bucket has a node.
    pub(super) fn none() -> Self {
        Self(Arc::new([NONE; BUCKETS]))
    }

    #[inline]
    pub(super) fn get(&self, bucket: u16) -> Option<NodeIndex> {
        let node = self.0[usize::from(bucket)];
        (node != NONE).then_some(NodeIndex(node))
    }

    /// Changes one bucket; copies the table first where it is shared.
    pub(super) fn set(&mut self, bucket: u16, node: Option<NodeIndex>) {
        Arc::make_mut(&mut self.0)[usize::from(bucket)] = node.map_or(NONE, |n| n.0);
    }

    /// Each bucket that has a node.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, NodeIndex)> {
        (0..=u16::MAX).filter_map(|bucket| Some((bucket, self.get(bucket)?)))
    }

    /// True where both are the same table; false says nothing.
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
