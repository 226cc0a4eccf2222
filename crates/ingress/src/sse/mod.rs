//! Server-sent events: relayed event by event, resumed elsewhere with `Last-Event-ID`.
//!
//! Only whole events are passed on, so the stream can be cut at any moment without the client seeing half an
//! event: for a hand-over, and when the node dies. Format: WHATWG HTML, "Server-sent events".

mod events;
mod moving;
mod resume;
mod stream;

pub(crate) use resume::Resumed;
pub(crate) use stream::{Ended, EventStream, chunked_head};
