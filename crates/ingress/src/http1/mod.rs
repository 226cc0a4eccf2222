//! HTTP/1.1: one task a client connection, requests forwarded one after the other.
//!
//! Heads are rewritten in one pass and bodies pass as they come. Written by hand over `httparse` rather than
//! with a general server, because a proxy is the one program that must refuse what others tolerate, hold no
//! memory for idle connections, and stop at a request's boundary when a session moves.

mod answer;
mod arrival;
mod chunked;
mod connection;
mod exchange;
mod head;
mod reject;
mod relay;
mod response;

pub(crate) use arrival::{handed_over, refused};
pub(crate) use chunked::Chunked;
pub(crate) use connection::serve;
pub(crate) use head::{Context, Framing, Method, is_ours, line, proto, translate};
pub(crate) use reject::Reject;
pub(crate) use response::{ResponseHead, retry_after, translate as translate_response};
