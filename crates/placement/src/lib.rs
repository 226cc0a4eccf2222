//! Who should live where: affinity map, consistent hashing with bounded loads, planner.
//!
//! [`AffinityMap`] answers "which node serves this session" from an immutable snapshot, in one array index and,
//! where single keys were moved, one probe. [`plan`] decides which units leave a node that is about to be
//! overloaded, and where to, with every brake that keeps moving from doing harm.
//!
//! Pure: `now` and the `Rng` are arguments, and nothing here knows HTTP, metadata or a clock, so that a whole
//! cluster can be replayed from a seed. Finding the affinity key in a request is `ingress`'s; committing a plan
//! is `control`'s.

mod error;
mod map;
mod planner;
mod secret;
mod session;

pub use error::Error;
pub use map::{AffinityMap, BUCKETS, MapChanges, MapNode, NodeIndex};
pub use planner::{
    Bottleneck, Demand, History, PlanNode, PlanUnit, PlanView, PlannerSettings, Predicted, plan,
};
pub use secret::Secret;
pub use session::{Keyed, session_id};
