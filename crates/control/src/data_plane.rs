//! The seam to the data plane: all that control asks of an ingress.
//!
//! What control wants of the ingress travels the other way, as new versions of the routes in metadata; what
//! happens there comes back as [`foreshift_wire::IngressEvent`]s.

use std::{future::Future, pin::Pin, sync::Arc};

use foreshift_wire::{ConnectionFilter, ConnectionInfo, IngressReport, PoolName};

/// A data plane that can be asked what it sees. Tests pass a fake.
pub trait DataPlane: Clone + Send + Sync + 'static {
    /// What was measured since the last call: deltas, so that only one caller may ask.
    fn report(&self) -> impl Future<Output = IngressReport> + Send;

    /// The open connections that match `filter`.
    fn connections(&self, filter: ConnectionFilter) -> impl Future<Output = Vec<ConnectionInfo>> + Send;

    /// Ends the streams that match `filter`; how many.
    fn close_streams(&self, filter: ConnectionFilter) -> impl Future<Output = u64> + Send;

    /// Whether requests for the pool reach a node: it hears of nodes a moment after they are in metadata.
    fn serves(&self, pool: PoolName) -> impl Future<Output = bool> + Send;
}

/// A [`DataPlane`] whose type is forgotten, so that the API's handlers need no type parameter.
pub(crate) trait Plane: Send + Sync {
    fn report(&self) -> BoxFuture<'_, IngressReport>;
    fn connections(&self, filter: ConnectionFilter) -> BoxFuture<'_, Vec<ConnectionInfo>>;
    fn close_streams(&self, filter: ConnectionFilter) -> BoxFuture<'_, u64>;
    fn serves(&self, pool: PoolName) -> BoxFuture<'_, bool>;
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub(crate) type SharedPlane = Arc<dyn Plane>;

impl<D: DataPlane> Plane for D {
    fn report(&self) -> BoxFuture<'_, IngressReport> {
        Box::pin(DataPlane::report(self))
    }

    fn connections(&self, filter: ConnectionFilter) -> BoxFuture<'_, Vec<ConnectionInfo>> {
        Box::pin(DataPlane::connections(self, filter))
    }

    fn close_streams(&self, filter: ConnectionFilter) -> BoxFuture<'_, u64> {
        Box::pin(DataPlane::close_streams(self, filter))
    }

    fn serves(&self, pool: PoolName) -> BoxFuture<'_, bool> {
        Box::pin(DataPlane::serves(self, pool))
    }
}
