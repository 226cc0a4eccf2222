//! What control and ingress keep in the store: nodes, placements, moves and the cluster secret.
//!
//! The only place that knows the keys and how records are written (JSON of the `wire` types). Control writes through
//! the `Txn` methods here, the ingress loads a [`RouteTable`] and follows it with a [`RouteWatch`].

pub mod keys;
mod record;
mod secret;
mod signing;
mod table;
mod watch;

pub use record::{moves, node, nodes, override_of};
pub use secret::secret;
pub use signing::{SigningKey, SigningKeys, signing_keys};
pub use table::RouteTable;
pub use watch::{RouteChange, RouteWatch};
