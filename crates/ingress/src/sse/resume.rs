//! The request for an event stream, made again with another node.

use std::{rc::Rc, time::Duration};

use crate::{
    elsewhere::{Fields, Resume, as_asked, ask},
    http1::{Framing, line},
    stream::Stream,
};

/// A stream that another node has begun.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) framing: Framing,
    pub(crate) behind: Vec<u8>,
}

/// A request for what comes behind an event.
pub(super) struct Request {
    /// The head as the first node got it, with the empty line.
    pub(super) head: Rc<[u8]>,
    pub(super) last_id: Option<Vec<u8>>,
}

impl Resume for Request {
    type Resumed = Resumed;

    async fn resume(&self, node: &Stream, fields: &Fields<'_>, within: Duration) -> Result<Resumed, String> {
        let request = with_last_id(&self.head, self.last_id.as_deref(), fields);
        let (answer, behind) = ask(node, &request, within).await?;
        if !answer.event_stream {
            return Err(format!("the node answered {} and no event stream", answer.status));
        }
        Ok(Resumed {
            framing: answer.framing,
            behind,
        })
    }
}

fn with_last_id(request: &[u8], last_id: Option<&[u8]>, fields: &[(&str, &str)]) -> Vec<u8> {
    const NAME: &[u8] = b"last-event-id:";
    let request = as_asked(request);
    let mut out = Vec::with_capacity(request.len() + 128);
    for field in request.split_inclusive(|b| *b == b'\n') {
        let is_last_id = field
            .get(..NAME.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(NAME));
        if !(is_last_id && last_id.is_some()) {
            out.extend_from_slice(field);
        }
    }
    if let Some(id) = last_id {
        line(&mut out, b"Last-Event-ID", id);
    }
    for (name, value) in fields {
        line(&mut out, name.as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_takes_the_place_of_the_clients() {
        let request = b"GET /events HTTP/1.1\r\nHost: a\r\nLAST-EVENT-ID: 1\r\n\r\n";
        let text = |id: Option<&[u8]>| {
            String::from_utf8(with_last_id(request, id, &[("Foreshift-Resume", "s")])).unwrap()
        };
        assert_eq!(
            text(Some(b"7")),
            "GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\nForeshift-Resume: s\r\n\r\n"
        );
        assert_eq!(
            text(None),
            "GET /events HTTP/1.1\r\nHost: a\r\nLAST-EVENT-ID: 1\r\nForeshift-Resume: s\r\n\r\n"
        );
    }
}
