//! One translated request and its answer.

use std::{
    error::Error as _,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use foreshift_wire::{ConnectionKind, Cookie, SameSite, SessionId};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::LengthLimitError;
use hyper::body::{Body as _, Incoming};

use super::{
    ClientConnection,
    body::{AnswerBody, RequestBody},
    instruct::{self, Here},
    translate::{self, Told},
    upstream::{Failure, Return, sender},
};
use crate::{
    access::{self, Entry},
    connections::{Connection, Delta, micros_since},
    http1::{Reject, retry_after},
    key::{Key, Source, select},
    marking::Mark,
    node::Node,
    orca,
    upstream::{Asked, Cause, Place, Tries},
    worker::Pool,
};

/// How often a kept connection may turn out to have ended before a request was on it.
const UNSENT_MAX: u32 = 3;

pub(super) struct Answering {
    client: Rc<ClientConnection>,
    stream: Rc<Connection>,
}

impl Answering {
    pub(super) fn new(client: Rc<ClientConnection>) -> Self {
        let worker = &client.worker;
        let id = worker.next_id();
        let stream = worker
            .connections
            .add(id, client.peer, client.listener.pool, ConnectionKind::Http2);
        stream.local.set(client.local);
        Self { client, stream }
    }

    fn pool(&self) -> &Pool {
        self.client.pool()
    }

    fn line(&self, request: &Request<Incoming>) -> String {
        let path = request.uri().path();
        let line = format!("{} {path} {:?}", request.method(), request.version());
        access::request_line(&line, &self.client.listener.config.affinity)
    }

    pub(super) async fn answer(self, request: Request<Incoming>) -> Response<AnswerBody> {
        let line = self.client.worker.may_record().then(|| self.line(&request));
        let mut guard = Guard {
            client: self.client.clone(),
            stream: self.stream.clone(),
            node: None,
            started: Instant::now(),
            status: 0,
            bytes: 0,
            failed: false,
            whole: false,
            line,
            mark: None,
            back: None,
            told: false,
            place: None,
        };
        let says_close = request.version() < http::Version::HTTP_2;
        match self.forward(request, &mut guard).await {
            Ok(mut response) => {
                if says_close && guard.client.worker.draining() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                guard.status = response.status().as_u16();
                let (parts, incoming) = response.into_parts();
                if incoming.is_end_stream() {
                    guard.whole();
                }
                Response::from_parts(
                    parts,
                    AnswerBody::Node {
                        incoming,
                        guard: Box::new(guard),
                    },
                )
            }
            Err(reject) => {
                guard.status = reject.status;
                guard.failed = guard.node.is_some() && reject.status >= 500;
                refusal(reject)
            }
        }
    }

    async fn forward(
        &self,
        request: Request<Incoming>,
        guard: &mut Guard,
    ) -> Result<Response<Incoming>, Reject> {
        let worker = &self.client.worker;
        let pool = self.pool();
        let (mut parts, body) = request.into_parts();
        if parts.method == http::Method::CONNECT {
            return Err(Reject::CONNECT);
        }
        let source = Source {
            address: self.client.peer.ip(),
            identity: self.client.identity.as_deref(),
        };
        let selectors = &self.client.listener.config.affinity;
        let (key, issue) = {
            let selected = select(selectors, &parts, source);
            let key = match selected.issue {
                Some(_) => pool.key_to_issue(selected.key),
                None => selected.key,
            };
            (key, selected.issue)
        };
        let session = pool.keyed.session(&key);
        worker.connections.assign(&self.stream, session, &key);
        self.take_token(&parts.headers, session)?;
        let here = Here::of(&parts);
        let http2 = pool.config().upstream_protocol.is_http2() || translate::is_grpc(&parts.headers);
        let body = self.limit(&parts, body)?;
        let told = Told {
            source: source.address,
            secure: self.client.secure,
            session,
            connection: self.stream.id,
            forwarded: self.client.listener.config.forwarded,
            marking: &self.client.listener.marking,
            node_secure: pool.config().tls.is_some(),
        };
        guard.mark = translate::request(&mut parts, &told, http2).ok_or(Reject::HOST)?;

        let asked = Asked {
            idempotent: parts.method.is_idempotent(),
            whole: body.is_end_stream(),
        };
        let whole = asked.whole.then(|| parts.clone());
        let mut request = Request::from_parts(parts, body);
        let mut tries = Tries::begin(worker, pool, &self.stream, session, false).await?;
        let mut unsent = 0;
        let mut response = loop {
            let wait = match self.one_try(&mut tries, request, (asked, http2), guard).await? {
                Tried::Answered(response) => break response,
                Tried::Unsent(back) => {
                    unsent += 1;
                    if unsent > UNSENT_MAX {
                        return Err(Reject::BAD_NODE);
                    }
                    request = back;
                    continue;
                }
                Tried::Failed(cause, reject) => tries.next(cause, asked).ok_or(reject)?,
                Tried::Again(wait) => wait,
            };
            guard.tried();
            // What is not whole any more is never tried again.
            let parts = whole.clone().ok_or(Reject::BAD_NODE)?;
            request = Request::from_parts(parts, RequestBody::empty());
            tries.again(wait).await?;
        };
        guard.place = Some(tries.into_place());
        guard.told = instruct::announce(&self.client, session, &here, &mut response);
        if let Some(cookie) = issue {
            issue_cookie(&mut response, cookie, &key, self.client.secure);
        }
        if let Some((name, id)) = guard.request_id() {
            response.headers_mut().insert(name, id);
        }
        Ok(response)
    }

    fn take_token(&self, headers: &HeaderMap, session: SessionId) -> Result<(), Reject> {
        let Some(token) = headers.get("foreshift-token") else {
            return Ok(());
        };
        // What is no text is no token, and is refused as one.
        let token = token.to_str().unwrap_or_default();
        let taken = self.client.worker.take_token(self.stream.pool, token, session);
        taken.map(drop).map_err(Reject::token)
    }

    fn limit(&self, parts: &Parts, body: Incoming) -> Result<RequestBody, Reject> {
        let limit = match self.client.worker.limits().body_bytes {
            0 => usize::MAX,
            limit => limit as usize,
        };
        let stated = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if stated.is_some_and(|n| n > limit) {
            return Err(Reject::BODY_TOO_LARGE);
        }
        Ok(RequestBody::new(body, limit))
    }

    async fn one_try(
        &self,
        tries: &mut Tries<'_>,
        mut request: Request<RequestBody>,
        (asked, http2): (Asked, bool),
        guard: &mut Guard,
    ) -> Result<Tried, Reject> {
        let connect = async |node: &Rc<Node>| sender(&self.client, &self.stream, node, http2).await;
        let sender = tries.connect(connect).await?;
        let node = tries.node().clone();
        if let Some(epoch) = self.client.worker.reign(self.pool(), &self.stream)? {
            translate::tell_reign(request.headers_mut(), epoch, tries.carried());
        }
        guard.begin(node.clone());
        let sent = sender.send(&node, request);
        let (response, back) = match tokio::time::timeout(tries.time(asked), sent).await {
            Err(_) => return Ok(Tried::Failed(Cause::Timeout, Reject::NODE_TIMEOUT)),
            Ok(Err(Failure::Unsent(request))) => {
                guard.cancelled();
                return Ok(Tried::Unsent(*request));
            }
            Ok(Err(Failure::Request(error))) => {
                if error.source().is_some_and(|s| s.is::<LengthLimitError>()) {
                    return Err(Reject::BODY_TOO_LARGE);
                }
                return Ok(Tried::Failed(cause_of(&error), Reject::BAD_NODE));
            }
            Ok(Ok(answered)) => answered,
        };
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Reject::BAD_NODE);
        }
        guard.heard(&mut parts.headers);
        let status = parts.status.as_u16();
        if status >= 429 {
            let after = parts.headers.get(header::RETRY_AFTER);
            let after = after.map(|v| Duration::from_secs(retry_after(v.as_bytes()).into()));
            if let Some(wait) = tries.next(Cause::Status(status, after), asked) {
                return Ok(Tried::Again(wait));
            }
        }
        guard.back = back;
        translate::response(&mut parts);
        Ok(Tried::Answered(Response::from_parts(parts, body)))
    }
}

/// What became of one try.
enum Tried {
    Answered(Response<Incoming>),
    /// The connection ended before the request was on it.
    Unsent(Request<RequestBody>),
    Failed(Cause, Reject),
    /// The client does not get to see this answer.
    Again(Duration),
}

fn cause_of(error: &hyper::Error) -> Cause {
    let http2 = error.source().and_then(|s| s.downcast_ref::<h2::Error>());
    match http2.and_then(h2::Error::reason) {
        Some(h2::Reason::REFUSED_STREAM) => Cause::RefusedStream,
        _ => Cause::Reset,
    }
}

fn issue_cookie<B>(response: &mut Response<B>, cookie: &Cookie, key: &Key, secure: bool) {
    let same_site = match cookie.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let value = String::from_utf8_lossy(key);
    let secure = if secure { "; Secure" } else { "" };
    let name = &cookie.name;
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn refusal(reject: Reject) -> Response<AnswerBody> {
    let (body, kind) = reject.body();
    let body = Bytes::from(body);
    let mut response = Response::new(AnswerBody::Own(Some(body)));
    *response.status_mut() = StatusCode::from_u16(reject.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if reject.status == 503 {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

/// A request that is being answered. Dropped when its answer has ended, however it did.
pub(super) struct Guard {
    client: Rc<ClientConnection>,
    stream: Rc<Connection>,
    node: Option<Rc<Node>>,
    started: Instant,
    status: u16,
    bytes: u64,
    failed: bool,
    whole: bool,
    line: Option<String>,
    mark: Option<Mark>,
    back: Option<Return>,
    /// The answer tells the client to move.
    told: bool,
    /// At the node, within its limits.
    place: Option<Place>,
}

impl Guard {
    /// The client is told its request's id.
    fn request_id(&self) -> Option<(HeaderName, HeaderValue)> {
        let name = self.client.listener.marking.request_id.as_deref()?;
        let id = self.mark.as_ref()?.request_id.as_deref()?;
        Some((name.parse().ok()?, HeaderValue::from_str(id).ok()?))
    }

    fn begin(&mut self, node: Rc<Node>) {
        self.started = Instant::now();
        node.begin(self.started);
        self.node = Some(node);
    }

    /// A try failed, and another one follows.
    fn tried(&mut self) {
        let now = Instant::now();
        if let Some(node) = self.node.take() {
            node.end(now, micros_since(self.started, now), true, 0);
        }
    }

    /// A try turned out to be none.
    fn cancelled(&mut self) {
        if let Some(node) = self.node.take() {
            node.cancel(Instant::now());
        }
    }

    pub(super) fn passed(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Takes the node's report of its load out of a head or trailers.
    pub(super) fn heard(&self, fields: &mut HeaderMap) {
        let pool = self.client.worker.pools[self.client.listener.pool].config();
        if let (Some(node), Some(orca)) = (&self.node, &pool.orca)
            && let Some(load) = orca::take(fields)
        {
            node.heard.take_in(&load, orca, Instant::now());
        }
    }

    pub(super) fn failed(&mut self) {
        self.failed = true;
    }

    pub(super) fn whole(&mut self) {
        self.whole = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let worker = &self.client.worker;
        let now = Instant::now();
        let took_us = micros_since(self.started, now);
        if let Some(node) = &self.node {
            node.end(now, took_us, self.failed || self.status >= 500, self.bytes);
            let delta = Delta {
                requests: 1,
                bytes: self.bytes,
                busy_us: took_us,
            };
            worker.connections.count(&self.stream, delta);
        }
        if let Some(line) = &self.line {
            worker.record(&Entry {
                at_ms: crate::clock::unix_ms(),
                client: self.client.peer.ip(),
                pool: &worker.pools[self.stream.pool].name,
                request: line,
                status: self.status,
                bytes: self.bytes,
                took_us,
                node: self.node.as_ref().map(|node| &node.id),
                session: self.stream.session.get(),
                mark: self.mark.as_ref(),
            });
        }
        if let Some(back) = self.back.take().filter(|_| self.whole) {
            back.give_back(self.client.upstreams());
        }
        if let Some(session) = self.stream.session.get() {
            worker.request_done(&worker.pools[self.stream.pool], &self.stream, session);
        }
        if self.told {
            self.client.told.notify_one();
        }
        worker.ended(&self.stream);
        self.client.open.set(self.client.open.get().saturating_sub(1));
        self.client.quiet_since.set(now);
    }
}
