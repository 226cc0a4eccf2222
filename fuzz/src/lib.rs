//! Fuzz targets over all that reads bytes from the network.
//!
//! A target is a plain function of bytes, so that libfuzzer drives it (`fuzz_targets/`) and an ordinary test puts its corpus
//! through it (`tests/corpus.rs`). It panics where a law is broken: that no bytes make a parser panic is the least of them.

mod entries;
mod http;
mod proxy;
mod redis;
mod reports;
mod tcp;
mod token;
mod websocket;

/// A target: its name, which is that of its binary and of its folder in `corpus/`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("agent_check", reports::agent_check),
    ("chunked", http::chunked),
    ("entries", entries::body),
    ("jwt_claim", http::jwt_claim),
    ("metric_selector", reports::metric_selector),
    ("orca_header", reports::orca_header),
    ("orca_message", reports::orca_message),
    ("prometheus", reports::prometheus),
    ("proxy_v1", proxy::v1),
    ("proxy_v2", proxy::v2),
    ("redis_view", redis::view),
    ("request_head", http::request_head),
    ("response_head", http::response_head),
    ("tcp_frames", tcp::frames),
    ("token", token::text),
    ("token_payload", token::payload),
    ("websocket", websocket::frames),
];

/// Runs a target by its name.
///
/// # Panics
///
/// Where a law is broken, or there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("a target of this name");
    target(bytes);
}

/// The first byte as a number from 1 to 32, for the size of the parts that the others are read in, and the others.
fn parts(bytes: &[u8]) -> (usize, &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (usize::from(first % 32) + 1, rest),
        None => (1, bytes),
    }
}
