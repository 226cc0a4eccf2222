//! One HTTP/1.1 client connection from its first byte to its last.

use std::{io, net::SocketAddr, rc::Rc, time::Instant};

use foreshift_wire::{ConnectionId, ConnectionKind, SessionId};

use super::{
    Chunked,
    exchange::{Exchange, Outcome},
    head::{Context, RequestHead, translate},
    reject::Reject,
};
use crate::{
    access,
    connections::Connection,
    io::{Deadline, Input, linger, write_all},
    key::Source,
    marking::Marking,
    message::{Arrival, Offer, ToMover},
    stream::Stream,
    worker::{Listener, Place, Worker},
    ws::{Handshaken, Pair},
};

/// The first bytes of an HTTP/2 connection, RFC 9113 section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a client until one side ends it, or it becomes something else than HTTP/1.1.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    stream: Stream,
    peer: SocketAddr,
    place: Place,
) {
    let mut input = Input::default();
    let mut deadline = Deadline::default();
    deadline.after(worker.limits().header_timeout.get());
    match speaks_http2(&worker, &stream, &mut input, &mut deadline).await {
        Ok(false) if !listener.http2_upstream(&worker) => {}
        Ok(false) if begins_with_websocket(&worker, &listener, &stream, &mut input, &mut deadline).await => {}
        Ok(_) => return crate::http2::serve(worker, listener, stream, input.into_bytes(), peer, place).await,
        Err(_) => return,
    }
    let connection = worker
        .connections
        .add(worker.next_id(), peer, listener.pool, ConnectionKind::Http1);
    connection.local.set(place.local());
    let source_text = peer.ip().to_canonical().to_string();
    let http = Http1 {
        worker,
        listener,
        stream,
        connection,
        source_text,
        input,
        head: Vec::new(),
        deadline,
        place,
    };
    http.run().await;
}

/// Reads the first head: WebSockets go to their node over HTTP/1.1 also where everything else is HTTP/2. What is no
/// whole head is left to whoever serves the connection.
async fn begins_with_websocket(
    worker: &Worker,
    listener: &Listener,
    stream: &Stream,
    input: &mut Input,
    deadline: &mut Deadline,
) -> bool {
    let context = Context {
        selectors: &listener.config.affinity,
        source: Source {
            address: std::net::Ipv4Addr::UNSPECIFIED.into(),
            identity: None,
        },
        source_text: "",
        secure: stream.is_tls(),
        headers_max: usize::from(worker.limits().headers),
        forwarded: false,
        marking: &Marking::default(),
    };
    let limit = worker.limits().header_bytes as usize;
    loop {
        match translate(input.filled(), &context, &mut Vec::new()) {
            Ok(Some(head)) => return head.websocket,
            Ok(None) => {}
            Err(_) => return false,
        }
        if !matches!(input.read_more(stream, limit, deadline).await, Ok(1..)) {
            return false;
        }
    }
}

/// Reads until it is certain whether the client begins with HTTP/2's preface.
async fn speaks_http2(
    worker: &Worker,
    stream: &Stream,
    input: &mut Input,
    deadline: &mut Deadline,
) -> io::Result<bool> {
    worker.next_request(stream, deadline).await?;
    input.wake(&worker.buffers);
    loop {
        if input
            .read_more(stream, HTTP2_PREFACE.len().max(crate::io::BUFFER), deadline)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let begun = input.filled().len().min(HTTP2_PREFACE.len());
        if input.filled()[..begun] != HTTP2_PREFACE[..begun] {
            return Ok(false);
        }
        if begun == HTTP2_PREFACE.len() {
            return Ok(true);
        }
    }
}

struct Http1 {
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    stream: Stream,
    connection: Rc<Connection>,
    source_text: String,
    input: Input,
    /// The head as the node shall see it.
    head: Vec<u8>,
    deadline: Deadline,
    place: Place,
}

enum Next {
    Request(RequestHead),
    Refused(Reject),
    End,
}

impl Http1 {
    async fn run(mut self) {
        let mut cut = false;
        loop {
            match self.next_request().await {
                Next::Request(head) => match self.answer(head).await {
                    Outcome::KeepAlive => {}
                    Outcome::Close => break,
                    Outcome::Cut => {
                        cut = true;
                        break;
                    }
                    Outcome::Upgraded(handshake) => return self.become_websocket(*handshake),
                    Outcome::Arrived {
                        session,
                        stream,
                        offer,
                    } => return self.go_to(session, stream, *offer),
                },
                Next::Refused(reject) => {
                    let response = reject.response(false, true);
                    let _ = write_all(&self.stream, &response, &mut self.deadline).await;
                    break;
                }
                Next::End => break,
            }
        }
        self.input.rest(&self.worker.buffers);
        self.worker.ended(&self.connection);
        // Under TLS an orderly end says that an answer which ends with its connection is whole.
        if !(cut && self.stream.is_tls()) {
            linger(self.stream).await;
        }
    }

    /// Waits for the next whole head.
    async fn next_request(&mut self) -> Next {
        let idle_by = Instant::now() + self.worker.limits().idle_timeout.get();
        loop {
            if self.input.is_empty() && !self.wait_until(idle_by).await {
                return Next::End;
            }
            if let Some(next) = self.read_head().await {
                return next;
            }
        }
    }

    /// Waits for the client to send something, without memory for it. False where it is time to end.
    async fn wait_until(&mut self, idle_by: Instant) -> bool {
        let worker = self.worker.clone();
        self.input.rest(&worker.buffers);
        if worker.ends_idle() {
            return false;
        }
        self.deadline.set(idle_by);
        if worker
            .next_request(&self.stream, &mut self.deadline)
            .await
            .is_err()
        {
            return false;
        }
        self.input.wake(&worker.buffers);
        true
    }

    /// Reads until the head is whole. `None` where there was nothing to read after all: a socket still counts as
    /// ready after the read that emptied it, until the next one finds nothing.
    async fn read_head(&mut self) -> Option<Next> {
        let worker = self.worker.clone();
        let limits = &worker.limits();
        let mut whole_by = None;
        loop {
            if !self.input.is_empty() {
                match self.translate() {
                    Ok(Some(head)) => return Some(Next::Request(head)),
                    Ok(None) if self.input.filled().len() >= limits.header_bytes as usize => {
                        return Some(Next::Refused(Reject::HEAD_TOO_LARGE));
                    }
                    Ok(None) => {}
                    Err(reject) => return Some(Next::Refused(reject)),
                }
            }
            let by = *whole_by.get_or_insert_with(|| Instant::now() + limits.header_timeout.get());
            self.deadline.set(by);
            let limit = limits.header_bytes as usize;
            let read = if self.input.is_empty() {
                self.input.read_now(&self.stream, limit)
            } else {
                self.input
                    .read_more(&self.stream, limit, &mut self.deadline)
                    .await
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Ok(0) => return Some(Next::End),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::OutOfMemory => {
                    return Some(Next::Refused(Reject::HEAD_TOO_LARGE));
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    return Some(Next::Refused(Reject::HEAD_TIMEOUT));
                }
                Err(_) => return Some(Next::End),
            }
        }
    }

    fn translate(&mut self) -> Result<Option<RequestHead>, Reject> {
        let context = Context {
            selectors: &self.listener.config.affinity,
            source: Source {
                address: self.connection.peer.ip(),
                identity: self.stream.identity().map(|identity| &**identity),
            },
            source_text: &self.source_text,
            secure: self.stream.is_tls(),
            headers_max: usize::from(self.worker.limits().headers),
            forwarded: self.listener.config.forwarded,
            marking: &self.listener.marking,
        };
        self.head.clear();
        let head = translate(self.input.filled(), &context, &mut self.head)?;
        if let Some(head) = &head {
            if head.len > self.worker.limits().header_bytes as usize {
                return Err(Reject::HEAD_TOO_LARGE);
            }
            let limit = self.worker.limits().body_bytes;
            if limit > 0 && matches!(head.framing, super::head::Framing::Length(n) if n > limit) {
                return Err(Reject::BODY_TOO_LARGE);
            }
            if head.framing == super::head::Framing::Chunked {
                // What is bad already is refused before a node hears of it.
                let begun = &self.input.filled()[head.len..];
                Chunked::new(false).follow(begun).map_err(|_| Reject::CHUNK)?;
            }
        }
        Ok(head)
    }

    async fn answer(&mut self, head: RequestHead) -> Outcome {
        let request = self.access_line(&head);
        self.input.consume(head.len);
        let exchange = Exchange {
            worker: &self.worker,
            pool: &self.worker.pools[self.listener.pool],
            listener: &self.listener,
            client: &self.stream,
            connection: &self.connection,
            input: &mut self.input,
            head_bytes: &mut self.head,
            head_end: 0,
            deadline: &mut self.deadline,
            request,
            marking: &self.listener.marking,
            mark: head.mark.clone(),
        };
        exchange.run(head).await
    }

    /// The request line, where somebody wants to log it.
    fn access_line(&self, head: &RequestHead) -> Option<String> {
        if !self.worker.records(head.mark.as_deref()) {
            return None;
        }
        let line = self.input.filled()[..head.len]
            .split(|b| *b == b'\r')
            .find(|l| !l.trim_ascii().is_empty())?;
        let line = String::from_utf8_lossy(line.trim_ascii());
        Some(access::request_line(&line, &self.listener.config.affinity))
    }

    /// Goes to the worker that has the client's first connection.
    fn go_to(self, session: SessionId, stream: ConnectionId, offer: Offer) {
        let (pool, peer) = (self.connection.pool, self.connection.peer.ip());
        self.worker.ended(&self.connection);
        // An error is the client's: its connection is gone.
        if let Ok(portable) = self.stream.leave() {
            let arrival = Arrival {
                stream: portable,
                peer,
                offer,
                behind: self.input.into_bytes(),
            };
            self.worker.tell(ToMover::Arrived {
                pool,
                session,
                connection: stream,
                arrival: Box::new(arrival),
            });
        }
    }

    fn become_websocket(self, handshaken: Handshaken) {
        let Self {
            worker,
            stream,
            connection,
            input,
            place,
            ..
        } = self;
        Pair::start(worker, stream, connection, &input.into_bytes(), handshaken, place);
    }
}
