//! An HTTP client of one origin that follows `Foreshift-Migrate`.
//!
//! One connection that is kept alive, HTTP/1.1, in the clear. A request goes where the last instruction said, once its delay is
//! over; where that place cannot be reached or refuses the token, it goes to the first one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::core::Migrate;

/// How it connects.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Time to connect, and for each answer.
    pub within: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            within: Duration::from_secs(30),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not an address of the form `http://host[:port]`.
    #[error("{origin:?} is not the address of an HTTP server; write http://host[:port]")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The server could not be reached.
    #[error("{origin} could not be reached: {detail}")]
    Unreachable {
        /// Where.
        origin: String,
        /// What the system said.
        detail: String,
    },
    /// The connection broke, or no answer came in time.
    #[error("{origin} gave no answer: {detail}")]
    NoAnswer {
        /// Where.
        origin: String,
        /// What happened.
        detail: String,
    },
}

/// Where requests go.
#[derive(Debug, Clone)]
struct Move {
    origin: String,
    token: String,
    at: Instant,
    until: Instant,
}

/// A client of one origin.
#[derive(Debug)]
pub struct HttpClient {
    first: String,
    origin: String,
    options: HttpOptions,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// An instruction that was not followed yet.
    next: Option<Move>,
    migrations: u64,
}

impl HttpClient {
    /// A client of `origin`, such as `http://127.0.0.1:8080`. Connects with the first request.
    pub fn new(origin: &str, options: HttpOptions) -> Result<Self, HttpError> {
        authority(origin)?;
        Ok(Self {
            first: origin.into(),
            origin: origin.into(),
            options,
            sender: None,
            next: None,
            migrations: 0,
        })
    }

    /// How often it has followed an instruction.
    pub fn migrations(&self) -> u64 {
        self.migrations
    }

    /// Where requests go now.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a request whose address is a path, and reads the whole answer.
    pub async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let now = Instant::now();
        if let Some(next) = self
            .next
            .take_if(|next| next.at <= now)
            .filter(|next| now < next.until)
            && let Some(answer) = self.follow(&next, &request).await?
        {
            return Ok(answer);
        }
        let answer = self.ask(request, None).await?;
        self.heed(&answer);
        Ok(answer)
    }

    /// Sends a request to the new place. `None` where that did not take it; the old connection is still there.
    async fn follow(
        &mut self,
        next: &Move,
        request: &Request<Bytes>,
    ) -> Result<Option<Response<Bytes>>, HttpError> {
        let mut there = Self {
            origin: next.origin.clone(),
            ..Self::new(&self.first, self.options.clone())?
        };
        if there.connect().await.is_err() {
            return Ok(None);
        }
        let answer = match there.ask(request.clone(), Some(&next.token)).await {
            Ok(answer) if answer.status() == StatusCode::FORBIDDEN => return Ok(None),
            Ok(answer) => answer,
            Err(_) if request.method().is_idempotent() => return Ok(None),
            // It may have been carried out, and is not sent twice.
            Err(error) => return Err(error),
        };
        self.origin = there.origin;
        self.sender = there.sender;
        self.migrations += 1;
        self.heed(&answer);
        Ok(Some(answer))
    }

    fn heed(&mut self, answer: &Response<Bytes>) {
        let value = answer.headers().get("foreshift-migrate");
        let migrate = value.and_then(|v| Migrate::from_header(v.to_str().ok()?));
        // Never from an encrypted place to one that is not; this client knows only the latter.
        if let Some(migrate) = migrate.filter(|m| authority(&m.url).is_ok()) {
            let at = Instant::now() + Duration::from_millis(migrate.delay_ms);
            self.next = Some(Move {
                origin: migrate.url,
                token: migrate.token,
                at,
                until: at + Duration::from_millis(migrate.within_ms),
            });
        }
    }

    async fn connect(&mut self) -> Result<(), HttpError> {
        let unreachable = |detail: String| HttpError::Unreachable {
            origin: self.origin.clone(),
            detail,
        };
        let address = authority(&self.origin)?;
        let connecting = async {
            let socket = TcpStream::connect(&address).await.map_err(|e| e.to_string())?;
            socket.set_nodelay(true).map_err(|e| e.to_string())?;
            handshake(TokioIo::new(socket)).await.map_err(|e| e.to_string())
        };
        let connected = tokio::time::timeout(self.options.within, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err("not in time".into()));
        let (sender, connection) = connected.map_err(unreachable)?;
        tokio::spawn(async move {
            // An error shows at the request that it concerns.
            let _ = connection.await;
        });
        self.sender = Some(sender);
        Ok(())
    }

    async fn ask(
        &mut self,
        request: Request<Bytes>,
        token: Option<&str>,
    ) -> Result<Response<Bytes>, HttpError> {
        let alive = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !alive && let Err(error) = self.connect().await {
            // A place that was moved to may be gone; the first one knows better.
            if self.origin == self.first {
                return Err(error);
            }
            self.origin.clone_from(&self.first);
            self.connect().await?;
        }
        let host = authority(&self.origin)?;
        let no_answer = |detail: String| HttpError::NoAnswer {
            origin: self.origin.clone(),
            detail,
        };
        let (mut head, body) = request.into_parts();
        head.headers
            .entry(HOST)
            .or_insert(HeaderValue::try_from(host).map_err(|e| no_answer(e.to_string()))?);
        if let Some(token) = token {
            let token = HeaderValue::try_from(token).map_err(|e| no_answer(e.to_string()))?;
            head.headers.insert("foreshift-token", token);
        }
        let Some(sender) = &mut self.sender else {
            return Err(no_answer("not connected".into()));
        };
        let exchange = async {
            let request = Request::from_parts(head, Full::new(body));
            let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let answered = tokio::time::timeout(self.options.within, exchange).await;
        answered
            .unwrap_or_else(|_| Err("not in time".into()))
            .map_err(no_answer)
    }
}

/// Host and port of an origin.
fn authority(origin: &str) -> Result<String, HttpError> {
    let wrong = || HttpError::Origin {
        origin: origin.into(),
    };
    let uri: Uri = origin.parse().map_err(|_| wrong())?;
    let host = uri
        .host()
        .filter(|_| uri.scheme_str() == Some("http"))
        .ok_or_else(wrong)?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}
