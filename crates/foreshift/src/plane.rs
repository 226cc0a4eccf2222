//! Joins the two halves: the ingress as control wants to see it.

use foreshift_control::DataPlane;
use foreshift_wire::{ConnectionFilter, ConnectionInfo, IngressReport, PoolName};

/// The ingress of this process.
#[derive(Clone)]
pub(crate) struct Plane(pub(crate) foreshift_ingress::Handle);

impl DataPlane for Plane {
    async fn report(&self) -> IngressReport {
        self.0.report().await
    }

    async fn connections(&self, filter: ConnectionFilter) -> Vec<ConnectionInfo> {
        self.0.connections(filter).await
    }

    async fn close_streams(&self, filter: ConnectionFilter) -> u64 {
        self.0.close_streams(filter).await
    }

    async fn serves(&self, pool: PoolName) -> bool {
        self.0.serves(pool).await
    }
}
