//! How a request gets to a node: within which limits, and where and how often it is tried again.
//!
//! Both protocols bring a request here with how to connect and what became of a try; here is decided what comes next,
//! so that neither has rules of its own. [`budget`] and [`policy`] are pure: time and chance are arguments. The
//! limits of a node hold for the process, so they are the one thing on the request's way that workers share and write,
//! and only where a limit is configured ([`limits`]).
//!
//! Not here: bytes (`http1`, `http2`), and which node a session lives on (`table`, `placement`).

mod budget;
mod issue;
mod limits;
mod newcomer;
mod policy;
mod room;
mod slots;
mod tries;
mod watch;

pub(crate) use issue::key_to_issue;
pub(crate) use limits::{Bounds, Limits};
pub(crate) use newcomer::Issued;
pub(crate) use policy::{Asked, Cause};
pub(crate) use room::{Room, Streaming};
pub(crate) use tries::{Place, Resending, Tries};
pub(crate) use watch::Watch;
