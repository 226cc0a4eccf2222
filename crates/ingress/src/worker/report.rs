//! What a worker measured since it was last asked.

use std::time::Instant;

use foreshift_wire::PoolReport;

use super::Worker;

impl Worker {
    /// One element a pool. Only connections that counted something since the last report are visited.
    pub(super) fn report(&self) -> Vec<PoolReport> {
        let now = Instant::now();
        let report = |(index, pool): (usize, &super::Pool)| {
            let (buckets, keys) = self.connections.take_loads(index);
            let nodes = pool.table.nodes().iter().map(|n| n.take_report(now)).collect();
            PoolReport {
                pool: pool.name.clone(),
                nodes,
                buckets,
                keys,
                refused: pool.refusals.take(),
                over_retry_budget: pool.resending.take_over_budget(),
            }
        };
        self.pools.iter().enumerate().map(report).collect()
    }
}
