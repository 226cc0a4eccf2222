//! One request and its answer.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use foreshift_wire::{ConnectionId, ConnectionKind, NodeId, SessionId};

use super::{
    answer::{Answer, Failure, Forwarded, asked},
    head::{Framing, Method, RequestHead, line},
    reject::Reject,
    relay::{BodyEnd, BodyError, send_body},
};
use crate::{
    access::Entry,
    connections::{Connection, Delta, micros_since},
    instruct::token::is_return,
    io::{Deadline, Input, write_all},
    marking::{Mark, Marking},
    message::Offer,
    node::Node,
    reigns::{EPOCH, FAILOVER, TOKEN},
    sse,
    stream::Stream,
    upstream::{Cause, Tries},
    worker::{Listener, Pool, Worker},
    ws::Handshaken,
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

/// All that answering one request needs.
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) pool: &'a Pool,
    pub(crate) listener: &'a Listener,
    pub(crate) client: &'a Stream,
    pub(crate) connection: &'a Rc<Connection>,
    pub(crate) input: &'a mut Input,
    pub(crate) head_bytes: &'a mut Vec<u8>,
    /// Where what is said of the node of a try begins in `head_bytes`.
    pub(crate) head_end: usize,
    pub(crate) deadline: &'a mut Deadline,
    /// The request line, where it is logged.
    pub(crate) request: Option<String>,
    pub(crate) marking: &'a Marking,
    pub(crate) mark: Option<Rc<Mark>>,
}

impl Exchange<'_> {
    /// Answers the request: from a node, or with a refusal.
    pub(crate) async fn run(mut self, mut head: RequestHead) -> Outcome {
        if head.issue.is_some() {
            head.key = self.pool.key_to_issue(head.key);
        }
        let session = self.pool.keyed.session(&head.key);
        self.worker
            .connections
            .assign(self.connection, session, &head.key);
        if let Some(token) = head.token.as_deref().filter(|token| is_return(token)) {
            let taken = self.worker.take_return(self.connection.pool, token, session);
            if let Err(refusal) = taken {
                super::arrival::refuse(self.client, refusal, self.deadline).await;
                return Outcome::Close;
            }
        } else if let Some(token) = &head.token {
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
        self.head_end = self.head_bytes.len();
        self.head_bytes.extend_from_slice(b"\r\n");
    }

    /// Tells the node of the try under way since when it serves the session, where state is kept.
    fn tell_reign(&mut self, tries: &mut Tries<'_>) -> Result<(), Reject> {
        if let Some(epoch) = self.worker.reign(self.pool, self.connection)? {
            self.head_bytes.truncate(self.head_end);
            line(self.head_bytes, EPOCH.as_bytes(), itoa(epoch.0).text());
            if let Some(carried) = tries.carried() {
                let dead = carried.dead.as_ref().map(|dead| (FAILOVER, dead.as_str()));
                let token = carried.token.as_deref().map(|token| (TOKEN, token));
                for (name, value) in dead.into_iter().chain(token) {
                    line(self.head_bytes, name.as_bytes(), value.as_bytes());
                }
            }
            self.head_bytes.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// One try over a connection, which was used before or not.
    async fn forward_to(
        &mut self,
        head: &RequestHead,
        tries: &mut Tries<'_>,
        (mut stream, mut reused): (Stream, bool),
        started: Instant,
    ) -> Step {
        if let Err(reject) = self.tell_reign(tries) {
            return Step::Done(self.refuse(head, reject).await);
        }
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
        let ends = self.worker.draining() || self.connection.ends.get();
        let keep_alive = head.keep_alive && head.framing == Framing::Empty && !ends;
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
