//! What a backend answers over HTTP/1.1.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use foreshift_wire::Epoch;
use http_body_util::{BodyExt, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
    },
    upgrade::OnUpgrade,
};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Fault, Shared, Step,
    events::events,
    fault::Spoiler,
    replay,
    session::{Arrival, Counter},
    socket::Opening,
};
use crate::Answer;

type Reply = Response<Either<Full<Bytes>, Events>>;
type Events = UnsyncBoxBody<Bytes, Infallible>;

/// The service of one client connection.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub shared: Arc<Shared>,
    pub spoiler: Spoiler,
    /// Number of the connection, which names its sessions and sockets where no header does.
    pub number: u64,
    /// Where a WebSocket goes once its handshake is answered.
    pub upgrades: mpsc::UnboundedSender<(Opening, OnUpgrade)>,
}

impl Service {
    pub(super) async fn answer(self, request: Request<Incoming>) -> Result<Reply, Infallible> {
        let step = step_of(&request);
        if let Some(fault) = self.shared.faults.at(step) {
            match fault {
                Fault::Refuse => return Ok(say(StatusCode::SERVICE_UNAVAILABLE, "asked to fail")),
                Fault::Reset => self.spoiler.reset(),
                Fault::Garbage => self.spoiler.garble(),
                Fault::Stall => std::future::pending().await,
                Fault::Die => match self.shared.die().await {},
            }
        }
        Ok(match step {
            Step::Handshake => self.handshake(request).await,
            Step::Handoff => self.hand_over(request.headers()).await,
            Step::Resume => self.resume(request).await,
            Step::Accept | Step::Health | Step::Request | Step::Message => self.route(request).await,
        })
    }

    async fn route(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), request.uri().path()) {
            (_, "/healthz") => say(StatusCode::OK, "ok"),
            (&Method::GET, "/work") => self.work(&request).await,
            (&Method::GET, "/events") => self.events(&request),
            (&Method::GET, "/stats") => json(&self.shared.stats()),
            (&Method::PUT | &Method::DELETE, path) if path.starts_with("/state/") => {
                self.replay(request).await
            }
            (_, "/headers") => json(&listed(request.headers())),
            (_, "/echo") => match request.into_body().collect().await {
                Ok(body) => whole(body.to_bytes()),
                Err(error) => say(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            _ => say(
                StatusCode::NOT_FOUND,
                "try /work, /events, /stats, /healthz, /headers, /echo or a WebSocket",
            ),
        }
    }

    async fn work(&self, request: &Request<Incoming>) -> Reply {
        let session = self.session(request);
        let _active = Active::begin(&self.shared, &session);
        self.shared.workers.work().await;
        let reign = reign(request.headers());
        let Counter { count, epoch } = match self.shared.count(&session, reign, |s| s.count(&session)).await {
            Ok(counter) => counter,
            Err(error) => return say(StatusCode::SERVICE_UNAVAILABLE, &format!("not stored: {error}")),
        };
        json(&Answer {
            id: None,
            push: None,
            count,
            epoch,
            node: self.shared.name.clone(),
        })
    }

    fn events(&self, request: &Request<Incoming>) -> Reply {
        let last = text(request.headers(), "last-event-id").and_then(|id| id.parse().ok());
        let every_ms = query(request, "every_ms").and_then(|ms| ms.parse().ok());
        let every = Duration::from_millis(every_ms.unwrap_or(1_000));
        let events = events(
            self.shared.clone(),
            self.session(request),
            last.unwrap_or(0),
            every,
        );
        let mut reply = Response::new(Either::Right(StreamBody::new(events).boxed_unsync()));
        reply
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        reply
    }

    async fn handshake(&self, mut request: Request<Incoming>) -> Reply {
        let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
            return say(
                StatusCode::BAD_REQUEST,
                "a WebSocket handshake needs Sec-WebSocket-Key",
            );
        };
        let accept = derive_accept_key(key.as_bytes());
        let opening = Opening {
            session: self.session(&request),
            connection: text(request.headers(), "foreshift-connection")
                .map_or_else(|| format!("direct-{}", self.number), str::to_owned),
            reign: reign(request.headers()),
            number: self.number,
            push_every: query(&request, "push_ms")
                .and_then(|ms| ms.parse().ok())
                .map(Duration::from_millis),
        };
        if let Some(kept) = &self.shared.kept {
            let mut turn = kept.turn(&opening.session).await;
            let entered = self
                .shared
                .enter(kept, &mut turn, &opening.session, opening.reign)
                .await;
            if let Err(error) = entered {
                return say(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &format!("the session's state cannot be read: {error}"),
                );
            }
        }
        let has = |name| request.headers().contains_key(name);
        let arrival = match () {
            () if self.shared.kept.is_some() => Arrival::Fresh,
            () if has("foreshift-failover") => Arrival::FromTheDead,
            () if has("foreshift-resume") && !self.shared.stateless => Arrival::Moved,
            () => Arrival::Fresh,
        };
        if !self
            .shared
            .sessions
            .open(&opening.session, &opening.connection, self.number, arrival)
        {
            return say(StatusCode::CONFLICT, "the session was not resumed here");
        }
        // The receiver lives as long as the connection, which is being served right now.
        let _ = self.upgrades.send((opening, hyper::upgrade::on(&mut request)));
        let mut reply = whole(Bytes::new());
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = reply.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        reply
    }

    async fn hand_over(&self, headers: &HeaderMap) -> Reply {
        let Some(session) = text(headers, "foreshift-session") else {
            return say(StatusCode::BAD_REQUEST, "Foreshift-Session is missing");
        };
        let messages = text(headers, "foreshift-messages").unwrap_or_default();
        match self.shared.sessions.hand_over(session, messages).await {
            Ok(state) => json(&state),
            Err(error) => say(StatusCode::CONFLICT, &error.to_string()),
        }
    }

    async fn resume(&self, request: Request<Incoming>) -> Reply {
        let aborted = request.headers().contains_key("foreshift-handoff-aborted");
        let Some(session) = text(request.headers(), "foreshift-session").map(str::to_owned) else {
            return say(StatusCode::BAD_REQUEST, "Foreshift-Session is missing");
        };
        let body = match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return say(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if aborted && body.is_empty() {
            self.shared.sessions.keep(&session);
            return say(StatusCode::OK, "kept");
        }
        match serde_json::from_slice(&body) {
            Ok(state) => {
                self.shared.sessions.resume(&session, state, aborted);
                say(StatusCode::OK, "resumed")
            }
            Err(error) => say(
                StatusCode::BAD_REQUEST,
                &format!("this is not a state of mine: {error}"),
            ),
        }
    }

    /// What other nodes kept of a session, before it comes here; or that it left.
    async fn replay(&self, request: Request<Incoming>) -> Reply {
        let (Some(kept), Some(session)) = (&self.shared.kept, text(request.headers(), "foreshift-session"))
        else {
            return say(StatusCode::NOT_FOUND, "no state of sessions is taken here");
        };
        let session = session.to_owned();
        if request.method() == Method::DELETE {
            kept.leave(&session).await;
            return say(StatusCode::CONFLICT, "its copy stays, for when it comes back");
        }
        let replay = match replay::read(request).await {
            Ok(replay) => replay,
            Err(why) => return say(StatusCode::BAD_REQUEST, &why),
        };
        if !kept.take(&session, &replay.items).await {
            return say(StatusCode::PRECONDITION_FAILED, "send all of it");
        }
        let mut reply = whole(Bytes::new());
        if let Ok(digest) = HeaderValue::from_str(&replay.digest) {
            reply.headers_mut().insert("foreshift-digest", digest);
        }
        reply
    }

    /// The session as the ingress names it, else as the client does, else one for each connection.
    fn session(&self, request: &Request<Incoming>) -> String {
        let headers = request.headers();
        text(headers, "foreshift-session")
            .or_else(|| text(headers, "x-user"))
            .or_else(|| query(request, "user"))
            .map_or_else(|| format!("direct-{}", self.number), str::to_owned)
    }
}

/// A request of a session that is being worked on; also ended when it is given up.
struct Active<'a> {
    shared: &'a Shared,
    session: &'a str,
}

impl<'a> Active<'a> {
    fn begin(shared: &'a Shared, session: &'a str) -> Self {
        shared.sessions.begin_request(session);
        Self { shared, session }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.shared.sessions.end_request(self.session);
    }
}

/// Since when this node serves the session; 0 where nobody says.
fn reign(headers: &HeaderMap) -> Epoch {
    let said = text(headers, "foreshift-epoch").and_then(|epoch| epoch.parse().ok());
    said.unwrap_or_default()
}

fn step_of(request: &Request<Incoming>) -> Step {
    let upgrades = text(request.headers(), UPGRADE).is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    match (request.method(), request.uri().path()) {
        _ if upgrades => Step::Handshake,
        (&Method::POST, "/handoff") => Step::Handoff,
        (&Method::POST, "/resume") => Step::Resume,
        (_, "/healthz") => Step::Health,
        _ => Step::Request,
    }
}

fn text(headers: &HeaderMap, name: impl hyper::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn query<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let mut pairs = request
        .uri()
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| value)
}

fn listed(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let values = |name: &HeaderName| {
        headers
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect()
    };
    headers.keys().map(|name| (name.as_str(), values(name))).collect()
}

fn whole(body: impl Into<Bytes>) -> Reply {
    Response::new(Either::Left(Full::new(body.into())))
}

fn json(body: &impl Serialize) -> Reply {
    let mut reply = whole(serde_json::to_vec(body).unwrap_or_default());
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn say(status: StatusCode, words: &str) -> Reply {
    let mut reply = whole(words.to_owned() + "\n");
    *reply.status_mut() = status;
    reply
}
