//! Opening handshakes: remembered, so that they can be made again with another node.

use std::time::Duration;

use super::extensions;
use crate::{
    elsewhere::{Fields, Resume, as_asked, ask},
    http1::line,
    stream::Stream,
};

/// A WebSocket whose handshake a node has accepted.
pub(crate) struct Handshaken {
    pub(crate) handshake: Handshake,
    /// What the node sent behind its answer.
    pub(crate) behind: Vec<u8>,
    /// The connection to the node; there once forwarding ended.
    pub(crate) stream: Option<Stream>,
}

/// A handshake as it was made.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    /// The request head as the node got it, with the empty line.
    pub(crate) request: Box<[u8]>,
    /// `Sec-WebSocket-Accept` of the answer.
    pub(crate) accept: Box<[u8]>,
    /// `Sec-WebSocket-Extensions` as the client got it.
    pub(crate) extensions: Option<Box<str>>,
    /// Where the client offered `foreshift.v1`.
    pub(crate) instructable: Option<Box<Instructable>>,
}

/// What it takes to tell a client to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instructable {
    /// Scheme, host and target of its handshake, as it can be opened again.
    pub(crate) url: Box<str>,
    /// The subprotocol that it was answered.
    pub(crate) protocol: Option<Box<str>>,
}

impl Resume for Handshake {
    /// What the node sent behind its answer.
    type Resumed = Vec<u8>;

    /// The client knows only the first answer, so the new one must agree with it.
    async fn resume(&self, node: &Stream, fields: &Fields<'_>, within: Duration) -> Result<Vec<u8>, String> {
        let mut request = as_asked(&self.request);
        for (name, value) in fields {
            line(&mut request, name.as_bytes(), value.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        let (answer, behind) = ask(node, &request, within).await?;
        if answer.status != 101 {
            return Err(format!("the node answered {}", answer.status));
        }
        self.agree(answer.accept.as_deref(), answer.extensions.as_deref())?;
        Ok(behind)
    }
}

impl Handshake {
    fn agree(&self, accept: Option<&[u8]>, extensions: Option<&[u8]>) -> Result<(), String> {
        if accept.unwrap_or_default() != &*self.accept {
            return Err("the node's Sec-WebSocket-Accept differs".into());
        }
        let extensions = extensions.map(extensions::answer).transpose();
        match extensions {
            Ok(extensions) if extensions.as_deref() == self.extensions.as_deref() => Ok(()),
            _ => Err("the node negotiated other extensions".into()),
        }
    }
}
