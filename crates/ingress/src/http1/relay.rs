//! Bodies on their way, in both directions.

use std::io;

use super::{Chunked, head::Framing, reject::Reject};
use crate::{
    io::{Deadline, Input, read, write_all},
    orca::Sieve,
    stream::Stream,
};

/// How a request's body ended.
pub(crate) enum BodyEnd {
    /// The node has all of it.
    Sent,
    /// The node takes no more; it may have answered already.
    Refused,
}

/// Why a request's body could not be sent.
pub(crate) enum BodyError {
    /// The client sent what is no body, or too much.
    Client(Reject),
    /// The client is gone.
    Gone,
}

/// Sends the client's body to the node: what is in `input`, then what comes. Trailers are dropped.
pub(crate) async fn send_body(
    client: &Stream,
    input: &mut Input,
    node: &Stream,
    framing: Framing,
    body_max: u64,
    idle: std::time::Duration,
) -> Result<BodyEnd, BodyError> {
    let mut deadline = Deadline::default();
    let mut body = Body::new(framing, false);
    loop {
        if !input.is_empty() {
            let part = body
                .take(input.filled())
                .map_err(|_| BodyError::Client(Reject::CHUNK))?;
            if body_max > 0 && body.content_bytes() > body_max {
                return Err(BodyError::Client(Reject::BODY_TOO_LARGE));
            }
            let pass = if part.without_trailers < part.used {
                part.without_trailers
            } else {
                part.used
            };
            deadline.after(idle);
            if write_all(node, &input.filled()[..pass], &mut deadline)
                .await
                .is_err()
            {
                return Ok(BodyEnd::Refused);
            }
            input.consume(part.used);
            if part.done {
                if framing == Framing::Chunked && write_all(node, b"\r\n", &mut deadline).await.is_err() {
                    return Ok(BodyEnd::Refused);
                }
                return Ok(BodyEnd::Sent);
            }
        }
        deadline.after(idle);
        match input.read_more(client, crate::io::BUFFER, &mut deadline).await {
            Ok(0) => return Err(BodyError::Gone),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                return Err(BodyError::Client(Reject::HEAD_TIMEOUT));
            }
            Err(_) => return Err(BodyError::Gone),
        }
    }
}

/// Why a response's body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayError {
    Client,
    Node,
}

/// Passes the rest of a response's body on, after `body` has seen its start. Returns the bytes passed and whether
/// the node's connection is at a message's end. With a sieve, trailers are held in it.
pub(crate) async fn relay_response(
    client: &Stream,
    node: &Stream,
    body: &mut Body,
    sieve: &mut Option<Sieve>,
    buffer: &mut [u8],
    idle: std::time::Duration,
    deadline: &mut Deadline,
) -> Result<u64, RelayError> {
    let mut passed = 0;
    loop {
        deadline.after(idle);
        let n = read(node, buffer, deadline).await.map_err(|_| RelayError::Node)?;
        if n == 0 {
            return if body.ends_with_connection() {
                Ok(passed)
            } else {
                Err(RelayError::Node)
            };
        }
        let part = body.take(&buffer[..n]).map_err(|_| RelayError::Node)?;
        write_all(client, part.pass(sieve, buffer), deadline)
            .await
            .map_err(|_| RelayError::Client)?;
        passed += part.used as u64;
        if part.done {
            return if part.used == n {
                Ok(passed)
            } else {
                Err(RelayError::Node)
            };
        }
    }
}

/// Follows one body to its end.
pub(crate) enum Body {
    Length { left: u64, content: u64 },
    Chunked(Chunked),
    UntilClose,
}

/// A part of a body.
pub(crate) struct Part {
    pub(crate) used: usize,
    pub(crate) without_trailers: usize,
    pub(crate) done: bool,
}

impl Part {
    /// What of the bytes that were taken is passed on now: all of it, but trailers only where no sieve holds them.
    #[inline]
    pub(crate) fn pass<'b>(&self, sieve: &mut Option<Sieve>, bytes: &'b [u8]) -> &'b [u8] {
        match sieve {
            None => &bytes[..self.used],
            Some(sieve) => {
                sieve.hold(&bytes[self.without_trailers..self.used]);
                &bytes[..self.without_trailers]
            }
        }
    }
}

impl Body {
    /// `extensions`: chunk extensions are let through.
    pub(crate) fn new(framing: Framing, extensions: bool) -> Self {
        match framing {
            Framing::Empty => Self::Length { left: 0, content: 0 },
            Framing::Length(left) => Self::Length { left, content: 0 },
            Framing::Chunked => Self::Chunked(Chunked::new(extensions)),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// How much of `bytes` belongs to the body.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Part, ()> {
        match self {
            Self::Length { left, content } => {
                let used = (*left).min(bytes.len() as u64) as usize;
                *left -= used as u64;
                *content += used as u64;
                Ok(Part {
                    used,
                    without_trailers: used,
                    done: *left == 0,
                })
            }
            Self::Chunked(chunked) => {
                let followed = chunked.follow(bytes).map_err(drop)?;
                Ok(Part {
                    used: followed.used,
                    without_trailers: followed.without_trailers,
                    done: followed.done,
                })
            }
            Self::UntilClose => Ok(Part {
                used: bytes.len(),
                without_trailers: bytes.len(),
                done: false,
            }),
        }
    }

    fn content_bytes(&self) -> u64 {
        match self {
            Self::Length { content, .. } => *content,
            Self::Chunked(chunked) => chunked.data_bytes(),
            Self::UntilClose => 0,
        }
    }

    fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilClose)
    }
}
