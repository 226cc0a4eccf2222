//! Connections that are kept alive, and one request with its answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Condition, Error};

/// Time to connect, and for each answer.
const WITHIN: Duration = Duration::from_secs(30);
/// Connections that are kept for later.
const IDLE_MAX: usize = 16;
/// Bytes of an answer at most: a partition has 1 GiB at most, and is longer as JSON.
const ANSWER_MAX: usize = 2 * 1024 * 1024 * 1024;

/// What is asked beside the path.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) condition: Condition,
    pub(super) body: Bytes,
    pub(super) content_type: Option<String>,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let strange = |error| Error::NoAnswer(format!("the server answered something unexpected: {error}"));
        serde_json::from_slice(&self.body).map_err(strange)
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The version that the ETag says.
    pub(super) fn version(&self) -> Result<u64, Error> {
        let tag = self.header(&header::ETAG).unwrap_or_default();
        let strange = |_| {
            Error::NoAnswer(format!(
                "the server answered with the ETag {tag:?}, which is no version"
            ))
        };
        tag.trim_matches('"').parse().map_err(strange)
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Connections to one server.
pub(super) struct Connections {
    host: String,
    address: String,
    authority: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<Sender>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Connections {
    pub(super) fn new(url: &str, tls: Option<Arc<rustls::ClientConfig>>) -> Result<Self, Error> {
        let wrong = || {
            Error::Invalid(format!(
                "{url:?} is no address of a server; write http://host[:port]"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?;
        let (tls, usual) = match (uri.scheme_str(), tls) {
            (Some("http"), None) => (None, 80),
            (Some("https"), Some(config)) => {
                let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(|_| wrong())?;
                (Some((TlsConnector::from(config), name)), 443)
            }
            (Some("http"), Some(_)) => {
                return Err(Error::Invalid("TLS settings are for an https URL".into()));
            }
            (Some("https"), None) => {
                return Err(Error::Invalid(
                    "an https URL needs TLS settings: Sessions::with_tls".into(),
                ));
            }
            _ => return Err(wrong()),
        };
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(usual));
        Ok(Self {
            host: host.into(),
            authority: HeaderValue::try_from(&address).map_err(|_| wrong())?,
            address,
            tls,
            idle: Mutex::default(),
        })
    }

    /// Sends a request, once. One that an idle connection did not take, as it was closed meanwhile, goes over a new one.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        asked: Asked,
    ) -> Result<Answer, Error> {
        let request = self.request(method, path, headers, asked)?;
        let answered = tokio::time::timeout(WITHIN, self.exchange(request)).await;
        answered.unwrap_or_else(|_| Err(self.no_answer("not in time")))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        asked: Asked,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.authority.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(kind) = asked.content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request = match asked.condition {
            Condition::Any => request,
            Condition::Is(version) => request.header(header::IF_MATCH, format!("\"{version}\"")),
            Condition::Present => request.header(header::IF_MATCH, "*"),
            Condition::Absent => request.header(header::IF_NONE_MATCH, "*"),
        };
        let request = request.body(Full::new(asked.body));
        request.map_err(|error| Error::Invalid(error.to_string()))
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            if sender.ready().await.is_err() && was_kept {
                continue;
            }
            let answer = match sender.try_send_request(request).await {
                Ok(answer) => answer,
                Err(mut error) => match error.take_message() {
                    // It was not sent: the other side had closed the connection.
                    Some(again) if was_kept => {
                        request = again;
                        continue;
                    }
                    _ => return Err(self.no_answer(error.error())),
                },
            };
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|error| self.no_answer(error))?.to_bytes();
            self.keep(sender);
            return Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            });
        }
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> Result<Sender, Error> {
        let socket = TcpStream::connect(&self.address)
            .await
            .map_err(|error| self.no_answer(error))?;
        socket.set_nodelay(true).map_err(|error| self.no_answer(error))?;
        match &self.tls {
            None => self.speak(TokioIo::new(socket)).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), socket).await;
                self.speak(TokioIo::new(stream.map_err(|error| self.no_answer(error))?))
                    .await
            }
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Sender, Error>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(stream).await.map_err(|error| self.no_answer(error))?;
        tokio::spawn(async move {
            // An error shows at the request that it concerns.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn no_answer(&self, why: impl std::fmt::Display) -> Error {
        Error::NoAnswer(format!("{} gave no answer: {why}", self.address))
    }
}
