//! One request and its answer.

use std::{
    cell::Cell,
    fmt::Write as _,
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use foreshift_wire::{ConnectionId, ConnectionKind, Cookie, NodeId, SameSite, SessionId};

use super::{
    head::{Framing, Method, RequestHead, line},
    reject::Reject,
    relay::{Body, BodyEnd, BodyError, RelayError, relay_response, send_body},
    response::{ResponseHead, translate_with},
};
use crate::{
    access::Entry,
    connections::{Connection, Delta, micros_since},
    instruct::control::PROTOCOL,
    io::{Deadline, Input, write_all},
    marking::{Mark, Marking},
    message::Offer,
    node::Node,
    orca::{Carried, Sieve},
    sse,
    stream::Stream,
    upstream::{Asked, Cause, Tries},
    worker::{Listener, Pool, Worker},
    ws::{self, Handshake, Handshaken, Instructable},
};

/// What the connection does next.
pub(crate) enum Outcome {
    KeepAlive,
    Close,
    /// As [`Self::Close`], but the client must not take what it has for all.
    Cut,
    Upgraded(Box<Handshaken>),
    /// A told client came with its new connection, which goes to the worker of its old one.
    Arrived {
        session: SessionId,
        stream: ConnectionId,
        offer: Box<Offer>,
    },
}

/// How forwarding ended.
enum Forwarded {
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

enum Failure {
    /// The connection ended before any of the answer; perhaps it had been closed before the request arrived.
    Stale,
    /// The answer did not begin in time.
    Late,
    Reject(Reject),
}

/// Largest response head taken from a node.
const RESPONSE_HEAD_MAX: usize = 256 * 1024;

/// All that answering one request needs.
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) pool: &'a Pool,
    pub(crate) listener: &'a Listener,
    pub(crate) client: &'a Stream,
    pub(crate) connection: &'a Rc<Connection>,
    pub(crate) input: &'a mut Input,
    pub(crate) head_bytes: &'a mut Vec<u8>,
    pub(crate) deadline: &'a mut Deadline,
    /// The request line, where it is logged.
    pub(crate) request: Option<String>,
    pub(crate) marking: &'a Marking,
    pub(crate) mark: Option<Rc<Mark>>,
}

impl Exchange<'_> {
    /// Answers the request: from a node, or with a refusal.
    pub(crate) async fn run(mut self, head: RequestHead) -> Outcome {
        let session = self.pool.keyed.session(&head.key);
        self.worker
            .connections
            .assign(self.connection, session, &head.key);
        if let Some(token) = &head.token {
            match self.worker.take_token(self.connection.pool, token, session) {
                Ok(issued) => {
                    if let (Some(stream), Some(offer)) = (issued.connection, &head.offer) {
                        let offer = offer.clone();
                        return Outcome::Arrived {
                            session,
                            stream,
                            offer,
                        };
                    }
                }
                Err(refusal) => {
                    super::arrival::refuse(self.client, refusal, self.deadline).await;
                    return Outcome::Close;
                }
            }
        }
        self.finish_head(session);
        let begun = Tries::begin(self.worker, self.pool, self.connection, session, head.websocket).await;
        let outcome = match begun {
            Ok(mut tries) => self.answer(&head, &mut tries).await,
            Err(reject) => self.refuse(&head, reject).await,
        };
        self.worker.request_done(self.pool, self.connection, session);
        outcome
    }

    async fn answer(&mut self, head: &RequestHead, tries: &mut Tries<'_>) -> Outcome {
        let (worker, pool, connection) = (self.worker, self.pool, self.connection);
        loop {
            let started = Instant::now();
            let connect = async |node: &Rc<Node>| {
                let kept = match pool.shares_connections() {
                    true => node.take_idle(started),
                    false => connection.own.take(node, started),
                };
                match kept {
                    Some(stream) => Ok((stream, true)),
                    None => Ok((worker.connect(pool, node, connection).await?, false)),
                }
            };
            let connected = match tries.connect(connect).await {
                Ok(connected) => connected,
                Err(reject) => return self.refuse(head, reject).await,
            };
            let wait = match self.forward_to(head, tries, connected, started).await {
                Step::Done(outcome) => return outcome,
                Step::Again(wait) => wait,
            };
            if let Err(reject) = tries.again(wait).await {
                return self.refuse(head, reject).await;
            }
        }
    }

    fn finish_head(&mut self, session: SessionId) {
        let mut digits = [0; 32];
        hex(session.0, &mut digits);
        line(self.head_bytes, b"Foreshift-Session", &digits);
        let mut id = itoa(self.connection.id.0);
        line(self.head_bytes, b"Foreshift-Connection", id.text());
        self.head_bytes.extend_from_slice(b"\r\n");
    }

    /// One try over a connection, which was used before or not.
    async fn forward_to(
        &mut self,
        head: &RequestHead,
        tries: &mut Tries<'_>,
        (mut stream, mut reused): (Stream, bool),
        started: Instant,
    ) -> Step {
        let node = &tries.node().clone();
        let asked = asked(head);
        node.begin(started);
        loop {
            let forwarded = self.forward(head, tries, &stream, started).await;
            let now = Instant::now();
            let took_us = micros_since(started, now);
            let (reject, cause) = match forwarded {
                Forwarded::Answered {
                    status,
                    bytes,
                    reuse,
                    keep_alive,
                } => {
                    node.end(now, took_us, status >= 500, bytes);
                    self.count(status, bytes, took_us, node);
                    if reuse {
                        match self.pool.shares_connections() {
                            true => node.put_idle(stream, now),
                            false => self.connection.own.put(node, stream, now),
                        }
                    }
                    let go_on = keep_alive && !self.worker.ends_idle();
                    return Step::Done(if go_on { Outcome::KeepAlive } else { Outcome::Close });
                }
                Forwarded::Upgraded(mut handshaken) => {
                    node.end(now, took_us, false, 0);
                    self.count(101, 0, took_us, node);
                    handshaken.stream = Some(stream);
                    return Step::Done(Outcome::Upgraded(handshaken));
                }
                Forwarded::Streams { framing, first } => {
                    node.end(now, took_us, false, 0);
                    tries.leave();
                    return Step::Done(self.stream_events(stream, framing, &first, took_us).await);
                }
                Forwarded::Broken { by_node } => {
                    node.end(now, took_us, by_node, 0);
                    self.count(499, 0, took_us, node);
                    return Step::Done(Outcome::Cut);
                }
                Forwarded::Again(wait) => {
                    node.end(now, took_us, true, 0);
                    return Step::Again(wait);
                }
                Forwarded::Failed(Failure::Stale) if reused && asked.is_safe_after(Cause::Reset) => {
                    reused = false;
                    match self.worker.connect(self.pool, node, self.connection).await {
                        Ok(fresh) => {
                            stream = fresh;
                            continue;
                        }
                        Err(_) => (Reject::UNREACHABLE, Some(Cause::Reset)),
                    }
                }
                Forwarded::Failed(Failure::Stale) => (Reject::BAD_NODE, Some(Cause::Reset)),
                Forwarded::Failed(Failure::Late) => (Reject::NODE_TIMEOUT, Some(Cause::Timeout)),
                Forwarded::Failed(Failure::Reject(reject)) => (reject, None),
            };
            // What the client did wrong is no failure of the node.
            node.end(now, took_us, reject.status >= 500, 0);
            return match cause.and_then(|cause| tries.next(cause, asked)) {
                Some(wait) => Step::Again(wait),
                None => Step::Done(self.refuse(head, reject).await),
            };
        }
    }

    async fn stream_events(&mut self, node: Stream, framing: Framing, first: &[u8], took_us: u64) -> Outcome {
        let (worker, connection) = (self.worker, self.connection);
        let events = sse::EventStream::new(worker, connection, self.client, node, self.head_bytes, framing);
        let ended = events.run(first).await;
        worker.connections.set_kind(connection, ConnectionKind::Http1);
        let (status, bytes) = match ended {
            sse::Ended::Whole { bytes } => (200, bytes),
            sse::Ended::Broken { by_node: true } => (502, 0),
            sse::Ended::Broken { by_node: false } => (499, 0),
        };
        if let Some(node) = connection.node.borrow().as_ref() {
            self.count(status, bytes, took_us, node);
        }
        Outcome::Close
    }

    async fn forward(
        &mut self,
        head: &RequestHead,
        tries: &mut Tries<'_>,
        stream: &Stream,
        started: Instant,
    ) -> Forwarded {
        let timeout = self.pool.config().request_timeout.get();
        let within = tries.time(asked(head));
        self.deadline.set(started + within);
        if write_all(stream, self.head_bytes, self.deadline).await.is_err() {
            return Forwarded::Failed(Failure::Stale);
        }
        let sent_whole = (head.framing == Framing::Empty).then_some(started);
        let (asked, begun) = (Cell::new(sent_whole), Cell::new(false));
        let mut answer = Answer {
            worker: self.worker,
            pool: self.pool,
            listener: self.listener,
            client: self.client,
            connection: self.connection,
            head,
            head_bytes: self.head_bytes,
            marking: self.marking,
            deadline: self.deadline,
            tries,
            within,
            timeout,
            asked: &asked,
            begun: &begun,
        };
        if head.framing == Framing::Empty {
            return answer.relay(stream).await;
        }
        let body_max = self.worker.limits().body_bytes;
        let mut sending = pin!(send_body(
            self.client,
            self.input,
            stream,
            head.framing,
            body_max,
            timeout
        ));
        let mut answering = pin!(answer.relay(stream));
        let mut sent = None;
        poll_fn(|cx| {
            if sent.is_none()
                && let Poll::Ready(end) = sending.as_mut().poll(cx)
            {
                match end {
                    Ok(end) => {
                        sent = Some(matches!(end, BodyEnd::Sent));
                        asked.set(Some(Instant::now()));
                    }
                    Err(BodyError::Client(_)) if begun.get() => {
                        return Poll::Ready(Forwarded::Broken { by_node: false });
                    }
                    Err(BodyError::Client(reject)) => {
                        return Poll::Ready(Forwarded::Failed(Failure::Reject(reject)));
                    }
                    Err(BodyError::Gone) => return Poll::Ready(Forwarded::Broken { by_node: false }),
                }
            }
            answering.as_mut().poll(cx).map(|forwarded| match forwarded {
                // The node answered before it had everything: what is left of the body must not be read as a
                // request, so both connections end.
                Forwarded::Answered { status, bytes, .. } if sent != Some(true) => Forwarded::Answered {
                    status,
                    bytes,
                    reuse: false,
                    keep_alive: false,
                },
                other => other,
            })
        })
        .await
    }

    fn count(&self, status: u16, bytes: u64, took_us: u64, node: &Node) {
        self.worker.connections.count(
            self.connection,
            Delta {
                requests: 1,
                bytes,
                busy_us: took_us,
            },
        );
        self.log(status, bytes, took_us, Some(&node.id));
    }

    fn log(&self, status: u16, bytes: u64, took_us: u64, node: Option<&NodeId>) {
        if let Some(request) = &self.request {
            self.worker.record(&Entry {
                at_ms: crate::clock::unix_ms(),
                client: self.connection.peer.ip(),
                pool: &self.pool.name,
                request,
                status,
                bytes,
                took_us,
                node,
                session: self.connection.session.get(),
                mark: self.mark.as_deref(),
            });
        }
    }

    /// Answers with a refusal.
    async fn refuse(&mut self, head: &RequestHead, reject: Reject) -> Outcome {
        self.log(reject.status, 0, 0, None);
        // A body that was not read to its end would be taken for the next request.
        let keep_alive = head.keep_alive && head.framing == Framing::Empty && !self.worker.draining();
        let response = reject.response(keep_alive, head.method != Method::Head);
        self.deadline.after(Duration::from_secs(5));
        let written = write_all(self.client, &response, self.deadline).await;
        if keep_alive && written.is_ok() {
            Outcome::KeepAlive
        } else {
            Outcome::Close
        }
    }
}

/// What became of one try.
enum Step {
    Done(Outcome),
    Again(Duration),
}

fn asked(head: &RequestHead) -> Asked {
    Asked {
        idempotent: head.method != Method::Other,
        // What comes behind a head passes and is not kept.
        whole: head.framing == Framing::Empty,
    }
}

/// The node's answer on its way to the client.
struct Answer<'a, 't> {
    tries: &'a mut Tries<'t>,
    worker: &'a Rc<Worker>,
    pool: &'a Pool,
    listener: &'a Listener,
    client: &'a Stream,
    connection: &'a Rc<Connection>,
    head: &'a RequestHead,
    head_bytes: &'a [u8],
    marking: &'a Marking,
    deadline: &'a mut Deadline,
    /// Time for the answer to begin.
    within: Duration,
    /// Time between two parts of it.
    timeout: Duration,
    /// When the whole request was sent. Until then the node need not answer, and a client that stops sending is
    /// noticed there.
    asked: &'a Cell<Option<Instant>>,
    /// Part of the answer is on its way to the client.
    begun: &'a Cell<bool>,
}

impl Answer<'_, '_> {
    async fn relay(&mut self, stream: &Stream) -> Forwarded {
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
        let keeps = framing != Framing::UntilClose && self.head.keep_alive && !self.worker.draining();
        if let Some(cookie) = &self.head.issue {
            issue_cookie(&mut reply, cookie, &self.head.key, self.client.is_tls());
        }
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

/// 32 lower-case hexadecimal digits, without the formatting machinery: every request pays this.
pub(crate) fn hex(value: u128, digits: &mut [u8; 32]) {
    for (digit, byte) in digits.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        digit[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digit[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
}

struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn text(&mut self) -> &[u8] {
        &self.digits[self.start..]
    }
}

fn itoa(mut value: u64) -> Decimal {
    let mut decimal = Decimal {
        digits: [b'0'; 20],
        start: 20,
    };
    loop {
        decimal.start -= 1;
        decimal.digits[decimal.start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return decimal;
        }
    }
}
