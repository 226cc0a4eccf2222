//! A node's answer on its way to the client: its head, its body, or the upgrade that it agrees to.

use std::{
    cell::Cell,
    fmt::Write as _,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use foreshift_wire::{ConnectionKind, Cookie, SameSite};

use super::{
    head::{Framing, Method, RequestHead, line},
    reject::Reject,
    relay::{Body, RelayError, relay_response},
    response::{ResponseHead, translate_with},
};
use crate::{
    connections::Connection,
    instruct::{
        control::{PROTOCOL, resumed},
        token::is_return,
    },
    io::{Deadline, Input, write_all},
    marking::Marking,
    orca::{Carried, Sieve},
    sse,
    stream::Stream,
    upstream::{Asked, Cause, Tries},
    worker::{Listener, Pool, Worker},
    ws::{self, Handshake, Handshaken, Instructable, frame::write_text},
};

/// How forwarding ended.
pub(super) enum Forwarded {
    Answered {
        status: u16,
        bytes: u64,
        /// The node's connection can take another request.
        reuse: bool,
        /// The client was not told that its connection ends.
        keep_alive: bool,
    },
    Upgraded(Box<Handshaken>),
    /// The head of an event stream was passed on; this came behind it.
    Streams {
        framing: Framing,
        first: Vec<u8>,
    },
    /// Nothing has reached the client.
    Failed(Failure),
    /// Nothing has reached the client, and the request is sent again after this wait.
    Again(Duration),
    /// The client is gone, or has half an answer.
    Broken {
        by_node: bool,
    },
}

pub(super) enum Failure {
    /// The connection ended before any of the answer; perhaps it had been closed before the request arrived.
    Stale,
    /// The answer did not begin in time.
    Late,
    Reject(Reject),
}

/// Largest response head taken from a node.
const RESPONSE_HEAD_MAX: usize = 256 * 1024;

/// The node's answer on its way to the client.
pub(super) struct Answer<'a, 't> {
    pub(super) tries: &'a mut Tries<'t>,
    pub(super) worker: &'a Rc<Worker>,
    pub(super) pool: &'a Pool,
    pub(super) listener: &'a Listener,
    pub(super) client: &'a Stream,
    pub(super) connection: &'a Rc<Connection>,
    pub(super) head: &'a RequestHead,
    pub(super) head_bytes: &'a [u8],
    pub(super) marking: &'a Marking,
    pub(super) deadline: &'a mut Deadline,
    /// Time for the answer to begin.
    pub(super) within: Duration,
    /// Time between two parts of it.
    pub(super) timeout: Duration,
    /// When the whole request was sent. Until then the node need not answer, and a client that stops sending is
    /// noticed there.
    pub(super) asked: &'a Cell<Option<Instant>>,
    /// Part of the answer is on its way to the client.
    pub(super) begun: &'a Cell<bool>,
}

impl Answer<'_, '_> {
    pub(super) async fn relay(&mut self, stream: &Stream) -> Forwarded {
        let mut input = Input::default();
        input.wake(&self.worker.buffers);
        let mut reply = Vec::with_capacity(1024);
        let forwarded = match self.read_head(stream, &mut input, &mut reply).await {
            Ok(response) => match self.try_again(&response) {
                Some(wait) => Forwarded::Again(wait),
                None => self.relay_body(stream, response, &mut input, reply).await,
            },
            Err(forwarded) => forwarded,
        };
        input.consume(input.filled().len());
        input.rest(&self.worker.buffers);
        forwarded
    }

    /// Whether the client does not get to see this answer, as the request is sent again.
    fn try_again(&mut self, response: &ResponseHead) -> Option<Duration> {
        if response.status < 429 {
            return None;
        }
        let after = response.retry_after.map(|s| Duration::from_secs(s.into()));
        self.tries
            .next(Cause::Status(response.status, after), asked(self.head))
    }

    /// Reads to the final head; interim ones are passed on.
    async fn read_head(
        &mut self,
        stream: &Stream,
        input: &mut Input,
        reply: &mut Vec<u8>,
    ) -> Result<ResponseHead, Forwarded> {
        let mut nothing_yet = true;
        let reports = self.pool.config().orca.is_some();
        loop {
            if !input.is_empty() {
                reply.clear();
                match translate_with(input.filled(), self.head.method, reports, reply) {
                    Ok(Some(response)) => {
                        input.consume(response.len);
                        if !response.is_interim() {
                            return Ok(response);
                        }
                        reply.extend_from_slice(b"\r\n");
                        if write_all(self.client, reply, self.deadline).await.is_err() {
                            return Err(Forwarded::Broken { by_node: false });
                        }
                        continue;
                    }
                    Ok(None) => {}
                    Err(_) => return Err(Forwarded::Failed(Failure::Reject(Reject::BAD_NODE))),
                }
            }
            match input.read_more(stream, RESPONSE_HEAD_MAX, self.deadline).await {
                Ok(0) if nothing_yet => return Err(Forwarded::Failed(Failure::Stale)),
                Ok(0) => return Err(Forwarded::Failed(Failure::Reject(Reject::BAD_NODE))),
                Ok(_) => nothing_yet = false,
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    let until = self.asked.get().unwrap_or_else(Instant::now) + self.within;
                    if until <= Instant::now() {
                        return Err(Forwarded::Failed(Failure::Late));
                    }
                    self.deadline.set(until);
                }
                Err(_) if nothing_yet => return Err(Forwarded::Failed(Failure::Stale)),
                Err(_) => return Err(Forwarded::Failed(Failure::Reject(Reject::BAD_NODE))),
            }
        }
    }

    async fn relay_body(
        &mut self,
        stream: &Stream,
        response: ResponseHead,
        input: &mut Input,
        mut reply: Vec<u8>,
    ) -> Forwarded {
        if let Some(mark) = &self.head.mark {
            self.marking.answer(mark, &mut reply);
        }
        self.heard(response.load.as_ref());
        if response.status == 101 {
            return self.upgrade(response, input, reply).await;
        }
        let mut framing = response.framing;
        let ends = self.worker.draining() || self.connection.ends.get();
        let keeps = framing != Framing::UntilClose && self.head.keep_alive && !ends;
        if let Some(cookie) = &self.head.issue {
            issue_cookie(&mut reply, cookie, &self.head.key, self.client.is_tls());
        }
        self.announce(&mut reply);
        if !keeps {
            reply.extend_from_slice(b"Connection: close\r\n");
        } else if self.head.http10 {
            reply.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        if response.event_stream && !self.head.http10 {
            return self.event_stream(framing, input, &reply).await;
        }
        if self.head.http10 && framing == Framing::Chunked {
            return Forwarded::Failed(Failure::Reject(Reject::BAD_NODE));
        }
        reply.extend_from_slice(b"\r\n");
        if framing == Framing::Length(0) {
            framing = Framing::Empty;
        }
        let sifted = framing == Framing::Chunked && self.pool.config().orca.is_some();
        let mut sieve = sifted.then(Sieve::default);
        let mut body = Body::new(framing, true);
        let Ok(part) = body.take(input.filled()) else {
            return Forwarded::Failed(Failure::Reject(Reject::BAD_NODE));
        };
        let excess = part.used < input.filled().len();
        reply.extend_from_slice(part.pass(&mut sieve, input.filled()));
        if part.done {
            self.sifted(sieve.take(), &mut reply);
        }
        input.consume(part.used);
        self.begun.set(true);
        if write_all(self.client, &reply, self.deadline).await.is_err() {
            return Forwarded::Broken { by_node: false };
        }
        let mut bytes = part.used as u64;
        let done = part.done || framing == Framing::Empty;
        if !done {
            match self.rest_of_body(stream, &mut body, sieve).await {
                Ok(more) => bytes += more,
                Err(by) => {
                    return Forwarded::Broken {
                        by_node: by == RelayError::Node,
                    };
                }
            }
        }
        // More than the answer is no answer to anything: such a connection is not used again.
        Forwarded::Answered {
            status: response.status,
            bytes,
            reuse: response.keep_alive && !excess,
            keep_alive: keeps,
        }
    }

    /// Takes in what the node says of its load.
    fn heard(&self, load: Option<&Carried>) {
        let Some(load) = load else { return };
        if let (Some(node), Some(orca)) = (&*self.connection.node.borrow(), &self.pool.config().orca) {
            node.heard.take_in(load, orca, Instant::now());
        }
    }

    /// Writes the trailers that were held back to `out`, without the node's report.
    fn sifted(&self, sieve: Option<Sieve>, out: &mut Vec<u8>) {
        if let Some(sieve) = sieve {
            let (trailers, load) = sieve.end();
            out.extend_from_slice(&trailers);
            self.heard(load.as_ref());
        }
    }

    async fn rest_of_body(
        &mut self,
        stream: &Stream,
        body: &mut Body,
        mut sieve: Option<Sieve>,
    ) -> Result<u64, RelayError> {
        let mut buffer = self.worker.large_buffers.take();
        let relayed = relay_response(
            self.client,
            stream,
            body,
            &mut sieve,
            &mut buffer,
            self.timeout,
            self.deadline,
        )
        .await;
        self.worker.large_buffers.put(buffer);
        if relayed.is_ok() && sieve.is_some() {
            let mut trailers = Vec::new();
            self.sifted(sieve, &mut trailers);
            let written = write_all(self.client, &trailers, self.deadline).await;
            written.map_err(|_| RelayError::Client)?;
        }
        relayed
    }

    async fn upgrade(&mut self, response: ResponseHead, input: &mut Input, mut reply: Vec<u8>) -> Forwarded {
        if !self.head.websocket {
            return Forwarded::Failed(Failure::Reject(Reject::BAD_NODE));
        }
        // Written by us where the client made an offer, and only then.
        let offered = memchr::memmem::find(self.head_bytes, b"\r\nSec-WebSocket-Extensions: ").is_some();
        let extensions = match response.extensions.as_deref().map(ws::extensions::answer) {
            Some(_) if !offered => return Forwarded::Failed(Failure::Reject(Reject::BAD_NODE)),
            Some(Err(())) => return Forwarded::Failed(Failure::Reject(Reject::BAD_NODE)),
            Some(Ok(answer)) => Some(answer),
            None => None,
        };
        if let Some(answer) = &extensions {
            line(&mut reply, b"Sec-WebSocket-Extensions", answer.as_bytes());
        }
        if let Some(cookie) = &self.head.issue {
            issue_cookie(&mut reply, cookie, &self.head.key, self.client.is_tls());
        }
        let instructable = self.instructable(response.protocol.as_deref(), &mut reply);
        reply.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let returns = self.head.token.as_deref().is_some_and(is_return) && instructable.is_some();
        if let (true, Some(session)) = (returns, self.connection.session.get()) {
            write_text(&mut reply, &resumed(session));
        }
        if write_all(self.client, &reply, self.deadline).await.is_err() {
            return Forwarded::Broken { by_node: false };
        }
        let behind = input.filled().to_vec();
        self.worker
            .became_stream(self.pool, self.connection, ConnectionKind::Websocket);
        let handshake = Handshake {
            request: self.head_bytes.into(),
            accept: response.accept.unwrap_or_default().into_boxed_slice(),
            extensions: extensions.map(String::into_boxed_str),
            instructable,
        };
        self.connection.instructable.set(handshake.instructable.is_some());
        Forwarded::Upgraded(Box::new(Handshaken {
            handshake,
            behind,
            stream: None,
        }))
    }

    /// Tells the client to move, where its session does.
    #[inline]
    fn announce(&self, reply: &mut Vec<u8>) {
        if !self.pool.board.is_empty() {
            self.announce_notice(reply);
        }
    }

    #[cold]
    fn announce_notice(&self, reply: &mut Vec<u8>) {
        let (board, now) = (&self.pool.board, Instant::now());
        let notice = self.connection.session.get().and_then(|s| board.take(s, now));
        let Some(notice) = notice else { return };
        let origin = self.listener.config.public_url.as_deref();
        let url = super::arrival::address(origin, self.client.is_tls(), self.head_bytes, false);
        if let Some((migrate, alt_svc)) = url.and_then(|url| notice.fields(url, now)) {
            line(reply, b"Foreshift-Migrate", migrate.as_bytes());
            line(reply, b"Alt-Svc", alt_svc.as_bytes());
        }
    }

    /// What it takes to tell the client to move, where it offered that; and says so to the client.
    fn instructable(&self, chosen: Option<&[u8]>, reply: &mut Vec<u8>) -> Option<Box<Instructable>> {
        let offer = self.head.offer.as_ref()?;
        line(reply, b"Foreshift-Client", b"v1");
        let alone = offer.protocols.is_empty() && chosen.is_none();
        if alone {
            line(reply, b"Sec-WebSocket-Protocol", PROTOCOL);
        }
        let protocol = if alone { Some(PROTOCOL) } else { chosen };
        let origin = self.listener.config.public_url.as_deref();
        let url = super::arrival::address(origin, self.client.is_tls(), self.head_bytes, true)?;
        Some(Box::new(Instructable {
            url: url.into(),
            protocol: protocol.map(|p| String::from_utf8_lossy(p).into()),
        }))
    }

    async fn event_stream(&mut self, framing: Framing, input: &mut Input, head: &[u8]) -> Forwarded {
        let mut reply = Vec::with_capacity(head.len() + 32);
        sse::chunked_head(&mut reply, head);
        if write_all(self.client, &reply, self.deadline).await.is_err() {
            return Forwarded::Broken { by_node: false };
        }
        self.worker
            .became_stream(self.pool, self.connection, ConnectionKind::EventStream);
        Forwarded::Streams {
            framing,
            first: input.filled().to_vec(),
        }
    }
}

fn issue_cookie(reply: &mut Vec<u8>, cookie: &Cookie, value: &[u8], secure: bool) {
    let same_site = match cookie.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let mut text = format!("{}={}", cookie.name, String::from_utf8_lossy(value));
    let _ = write!(text, "; Path=/; HttpOnly; SameSite={same_site}");
    if secure {
        text.push_str("; Secure");
    }
    line(reply, b"Set-Cookie", text.as_bytes());
}

/// What another try depends on.
pub(super) fn asked(head: &RequestHead) -> Asked {
    Asked {
        idempotent: head.method != Method::Other,
        // What comes behind a head passes and is not kept.
        whole: head.framing == Framing::Empty,
    }
}
