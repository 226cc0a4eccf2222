//! Opening handshakes: remembered, so that they can be made again with another node.

use std::{io, time::Duration};

use tokio::net::TcpStream;

use super::extensions;
use crate::{
    http1::{Method, line, translate_response},
    io::{Deadline, Input, write_all},
};

/// A WebSocket whose handshake a node has accepted.
pub(crate) struct Handshaken {
    pub(crate) handshake: Handshake,
    /// What the node sent behind its answer.
    pub(crate) behind: Vec<u8>,
    /// The connection to the node; there once forwarding ended.
    pub(crate) stream: Option<TcpStream>,
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
}

/// Largest answer to a handshake.
const ANSWER_MAX: usize = 64 * 1024;

impl Handshake {
    /// Makes the handshake again with another node, with further header fields. The client knows only the first
    /// answer, so the new one must agree with it. Returns what came behind the answer.
    pub(crate) async fn repeat(
        &self,
        node: &TcpStream,
        fields: &[(&str, &str)],
        within: Duration,
    ) -> Result<Vec<u8>, String> {
        let mut deadline = Deadline::default();
        deadline.after(within);
        let mut request = self.request[..self.request.len() - 2].to_vec();
        for (name, value) in fields {
            line(&mut request, name.as_bytes(), value.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        write_all(node, &request, &mut deadline)
            .await
            .map_err(|e| e.to_string())?;
        let mut input = Input::default();
        loop {
            match input.read_more(node, ANSWER_MAX, &mut deadline).await {
                Ok(0) => return Err("the node closed the connection".into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    return Err(format!("no answer within {within:?}"));
                }
                Err(e) => return Err(e.to_string()),
            }
            let answer = translate_response(input.filled(), Method::Idempotent, &mut Vec::new());
            let Some(answer) = answer.map_err(|e| e.to_string())? else {
                continue;
            };
            if answer.is_interim() {
                input.consume(answer.len);
                continue;
            }
            if answer.status != 101 {
                return Err(format!("the node answered {}", answer.status));
            }
            self.agree(answer.accept.as_deref(), answer.extensions.as_deref())?;
            input.consume(answer.len);
            return Ok(input.into_bytes());
        }
    }

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
