//! The pools that run, by name: a reload adds and ends some.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use foreshift_wire::PoolName;

use crate::pool::PoolHandle;

/// Cheap to clone; all clones see the same pools.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pools(Arc<RwLock<Arc<BTreeMap<PoolName, PoolHandle>>>>);

impl Pools {
    /// Those of now; the answer does not change under whoever holds it.
    pub(crate) fn all(&self) -> Arc<BTreeMap<PoolName, PoolHandle>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn get(&self, name: &PoolName) -> Option<PoolHandle> {
        self.all().get(name).cloned()
    }

    pub(crate) fn insert(&self, name: PoolName, pool: PoolHandle) {
        self.change(|pools| drop(pools.insert(name, pool)));
    }

    pub(crate) fn remove(&self, name: &PoolName) -> Option<PoolHandle> {
        let mut removed = None;
        self.change(|pools| removed = pools.remove(name));
        removed
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<PoolName, PoolHandle>)) {
        let mut pools = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut pools));
    }
}
