//! How much, how many and how long.

use std::time::Duration;

use foreshift_wire::Session;

use super::request::RequestLimits;

/// What the view takes and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones are told so and closed.
    pub connections: usize,
    /// Of clients that may do something.
    pub request: RequestLimits,
    /// Bytes of commands that are read while a client does not take its answers.
    pub ahead_bytes: usize,
    /// Time for a client to say who it is, where it has to, and for the handshake of TLS.
    pub greeting: Duration,
    /// Time for a command from its first byte to its last, and for a client to take what it is sent.
    pub progress: Duration,
    /// A connection on which nothing came for so long is closed.
    pub idle: Duration,
}

impl Limits {
    /// Those that suit a configuration: no command can be larger than the largest partition and be of use.
    pub fn of(session: &Session) -> Self {
        let declared = session
            .partition
            .iter()
            .filter_map(|partition| partition.max_bytes);
        let largest = declared.chain([session.max_bytes]).max().unwrap_or_default();
        let largest = largest.min(session.max_session_bytes);
        Self {
            connections: 1024,
            request: RequestLimits {
                arguments: 128 * 1024,
                argument_bytes: session.max_value_bytes.min(largest).max(16 * 1024),
                skipped_bytes: 512 * 1024 * 1024,
                command_bytes: largest + 64 * 1024,
            },
            ahead_bytes: 1024 * 1024,
            greeting: Duration::from_secs(10),
            progress: Duration::from_secs(60),
            idle: Duration::from_secs(600),
        }
    }
}
