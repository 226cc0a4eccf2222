//! One translated request and its answer.

use std::{error::Error as _, rc::Rc, time::Instant};

use bytes::Bytes;
use foreshift_wire::{ConnectionKind, Cookie, SameSite, UpstreamProtocol};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::LengthLimitError;
use hyper::body::{Body as _, Incoming};

use super::{
    ClientConnection,
    body::{AnswerBody, RequestBody},
    translate::{self, Told},
    upstream::{Failure, Return, Sender, sender},
};
use crate::{
    access::{self, Entry},
    connections::{Connection, Delta, micros_since},
    http1::Reject,
    key::{Key, Source, select},
    marking::Mark,
    node::Node,
    worker::Pool,
};

/// How many nodes are tried where connections are refused.
const NODES_TRIED: usize = 3;

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
        };
        match self.forward(request, &mut guard).await {
            Ok(response) => {
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
                guard.failed = guard.node.is_some();
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
            (selected.key, selected.issue)
        };
        let session = pool.keyed.session(&key);
        worker.connections.assign(&self.stream, session, &key);
        let http2 =
            pool.config().upstream_protocol == UpstreamProtocol::H2c || translate::is_grpc(&parts.headers);
        let body = self.limit(&parts, body)?;
        let told = Told {
            source: source.address,
            secure: self.client.secure,
            session,
            connection: self.stream.id,
            forwarded: self.client.listener.config.forwarded,
            marking: &self.client.listener.marking,
        };
        guard.mark = translate::request(&mut parts, &told, http2).ok_or(Reject::HOST)?;

        let mut node = worker.route(pool, session, false).await.ok_or(Reject::NO_NODE)?;
        self.stream.busy_since.set(Some(Instant::now()));
        let mut tried = 1;
        let sender = loop {
            worker.serve_by(&self.stream, &node);
            match sender(&self.client, &self.stream, &node, http2).await {
                Ok(sender) => break sender,
                Err(_) if tried < NODES_TRIED => {
                    node = pool
                        .table
                        .another(session, &node.id, Instant::now())
                        .ok_or(Reject::UNREACHABLE)?;
                    tried += 1;
                }
                Err(_) => return Err(Reject::UNREACHABLE),
            }
        };
        guard.begin(node);
        let mut response = self.send(sender, guard, Request::from_parts(parts, body)).await?;
        if let Some(cookie) = issue {
            issue_cookie(&mut response, cookie, &key, self.client.secure);
        }
        if let Some((name, id)) = guard.request_id() {
            response.headers_mut().insert(name, id);
        }
        Ok(response)
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

    async fn send(
        &self,
        sender: Sender,
        guard: &mut Guard,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Reject> {
        let Some(node) = guard.node.clone() else {
            return Err(Reject::NO_NODE);
        };
        let timeout = self.pool().config().request_timeout.get();
        let sent = sender.send(&node, request);
        let (response, back) = match tokio::time::timeout(timeout, sent).await {
            Err(_) => return Err(Reject::NODE_TIMEOUT),
            Ok(Err(Failure::Connect)) => return Err(Reject::UNREACHABLE),
            Ok(Err(Failure::Request(error))) => {
                let too_large = error.source().is_some_and(|s| s.is::<LengthLimitError>());
                return Err(if too_large {
                    Reject::BODY_TOO_LARGE
                } else {
                    Reject::BAD_NODE
                });
            }
            Ok(Ok(answered)) => answered,
        };
        guard.back = back;
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Reject::BAD_NODE);
        }
        translate::response(&mut parts);
        Ok(Response::from_parts(parts, body))
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
    let body = Bytes::from(reject.body());
    let mut response = Response::new(AnswerBody::Own(Some(body)));
    *response.status_mut() = StatusCode::from_u16(reject.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
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

    pub(super) fn passed(&mut self, bytes: u64) {
        self.bytes += bytes;
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
        worker.ended(&self.stream);
        self.client.open.set(self.client.open.get().saturating_sub(1));
        self.client.quiet_since.set(now);
    }
}
