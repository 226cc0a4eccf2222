//! The request for an event stream, made again with another node.

use std::{io, rc::Rc, time::Duration};

use foreshift_wire::{NodeId, SessionId};
use tokio::net::TcpStream;

use crate::{
    connections::Connection,
    http1::{Framing, Method, line, translate_response},
    io::{Deadline, Input, write_all},
    node::Node,
    worker::{Worker, connect},
};

/// Largest head of the answer.
const HEAD_MAX: usize = 64 * 1024;
const NODES_TRIED: usize = 3;

/// A stream that another node has begun.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) framing: Framing,
    pub(crate) behind: Vec<u8>,
}

/// Asks `node` to go on behind `last_id`. `request` is the head as the old node got it, with the empty line.
pub(super) async fn resume(
    node: &TcpStream,
    request: &[u8],
    last_id: Option<&[u8]>,
    fields: &[(&str, &str)],
    within: Duration,
) -> Result<Resumed, String> {
    let mut deadline = Deadline::default();
    deadline.after(within);
    let request = with_last_id(request, last_id, fields);
    write_all(node, &request, &mut deadline)
        .await
        .map_err(|e| e.to_string())?;
    let mut input = Input::default();
    loop {
        match input.read_more(node, HEAD_MAX, &mut deadline).await {
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
        if !answer.event_stream {
            return Err(format!("the node answered {} and no event stream", answer.status));
        }
        input.consume(answer.len);
        return Ok(Resumed {
            framing: answer.framing,
            behind: input.into_bytes(),
        });
    }
}

fn with_last_id(request: &[u8], last_id: Option<&[u8]>, fields: &[(&str, &str)]) -> Vec<u8> {
    const NAME: &[u8] = b"last-event-id:";
    let mut out = Vec::with_capacity(request.len() + 128);
    for field in request.split_inclusive(|b| *b == b'\n') {
        let is_last_id = field
            .get(..NAME.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(NAME));
        if field != b"\r\n" && !(is_last_id && last_id.is_some()) {
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

/// Another node goes on where a dead one stopped.
pub(super) async fn take_over(
    worker: &Worker,
    connection: &Connection,
    request: &[u8],
    last_id: Option<&[u8]>,
    session: SessionId,
    dead: &Rc<Node>,
) -> Option<(NodeId, TcpStream, Resumed)> {
    let pool = &worker.pools[connection.pool];
    if connect(dead.address, pool.config.connect_timeout.get())
        .await
        .is_ok()
    {
        return None;
    }
    worker.suspect(pool, dead, "connections broke and new ones are refused");
    let session_text = session.to_string();
    let fields = [
        ("Foreshift-Resume", &*session_text),
        ("Foreshift-Failover", dead.id.as_str()),
    ];
    for _ in 0..NODES_TRIED {
        let node = pool.table.another(session, &dead.id, std::time::Instant::now())?;
        let Ok(stream) = worker.connect(pool, &node).await else {
            continue;
        };
        let within = pool.config.migration_deadline.get();
        let resumed = resume(&stream, request, last_id, &fields, within).await.ok()?;
        return Some((node.id.clone(), stream, resumed));
    }
    None
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
