//! A node's side of sessions' state: partitions and keys over HTTP, with versions and with errors that a program can tell apart.
//!
//! ```no_run
//! use foreshift_client::sessions::{Condition, Sessions, Value};
//!
//! # async fn run() -> Result<(), foreshift_client::sessions::Error> {
//! let sessions = Sessions::new("http://127.0.0.1:8090", None)?.as_node("a");
//! let session = "0123456789abcdef0123456789abcdef"; // the header Foreshift-Session
//! let version = sessions.set(session, "cart", b"item/1", &Value::text("3"), Condition::Any).await?;
//! sessions.set(session, "cart", b"item/1", &Value::text("4"), Condition::Is(version)).await?;
//! let cart = sessions.get_partition_data(session, "cart").await?;
//! # Ok(())
//! # }
//! ```

mod body;
mod error;
mod http;

use std::sync::Arc;

use ::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;

pub use self::{
    body::{Change, Condition, Entry, Partition, PartitionData, Value, Written},
    error::Error,
};
use self::{
    body::{PartitionBody, WriteBody, WrittenBody},
    http::{Asked, Connections},
};

const NODE: HeaderName = HeaderName::from_static("foreshift-node");
const EPOCH: HeaderName = HeaderName::from_static("foreshift-epoch");

/// A client of the state of sessions. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Sessions {
    connections: Arc<Connections>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Sessions {
    /// A client of `url`, that of the API or of `session.address`, such as `http://127.0.0.1:8090`. Connects with the first request.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        Self::with_tls(url, token, None)
    }

    /// As [`Sessions::new`], for an `https` URL.
    pub fn with_tls(
        url: &str,
        token: Option<&str>,
        tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, Error> {
        let connections = Arc::new(Connections::new(url, tls)?);
        let mut headers = Vec::new();
        if let Some(token) = token {
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let mut bearer =
                bearer.map_err(|_| Error::Invalid("the token is not one of visible ASCII".into()))?;
            bearer.set_sensitive(true);
            headers.push((header::AUTHORIZATION, bearer));
        }
        Ok(Self { connections, headers })
    }

    /// The same, as this node: it may write what it serves. Where the token is a node's, it need not be said.
    #[must_use]
    pub fn as_node(&self, node: &str) -> Self {
        self.saying(NODE, node)
    }

    /// The same, in the reign that `Foreshift-Epoch` told: what is written after the session went elsewhere and came back is refused
    /// as well.
    #[must_use]
    pub fn in_epoch(&self, epoch: u64) -> Self {
        self.saying(EPOCH, &epoch.to_string())
    }

    fn saying(&self, name: HeaderName, value: &str) -> Self {
        let mut same = self.clone();
        same.headers.retain(|(known, _)| *known != name);
        // One that no header can hold is no name either: the server says so.
        let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("?"));
        same.headers.push((name, value));
        same
    }

    /// Makes a session. Needs a token with `access = "admin"`, where there are tokens. Its id.
    pub async fn create(&self) -> Result<String, Error> {
        let answer = self
            .ask(Method::POST, "/v1/sessions".into(), Asked::default())
            .await?;
        let made: body::Made = answer.json()?;
        Ok(made.id)
    }

    /// The partitions of a session that the token allows to read.
    pub async fn get_partition_list(&self, session: &str) -> Result<Vec<Partition>, Error> {
        let path = format!("/v1/sessions/{}/partitions", encode(session, false));
        self.ask(Method::GET, path, Asked::default()).await?.json()
    }

    /// All of a partition at one moment. [`Error::NotFound`] where it is not there.
    pub async fn get_partition_data(&self, session: &str, partition: &str) -> Result<PartitionData, Error> {
        let answer = self
            .ask(Method::GET, place(session, partition), Asked::default())
            .await?;
        answer.json::<PartitionBody>()?.try_into()
    }

    /// Sets all of a partition: keys that are not in `entries` go.
    pub async fn set_partition_data<'a>(
        &self,
        session: &str,
        partition: &str,
        entries: impl IntoIterator<Item = (&'a [u8], &'a Value)>,
        condition: Condition,
    ) -> Result<Written, Error> {
        let changes = entries
            .into_iter()
            .map(|(key, value)| Change::set(key, value.clone()));
        self.send(Method::PUT, session, partition, changes, condition)
            .await
    }

    /// Does all changes, or none where a condition does not hold. `condition` is on the partition.
    pub async fn batch(
        &self,
        session: &str,
        partition: &str,
        changes: impl IntoIterator<Item = Change>,
        condition: Condition,
    ) -> Result<Written, Error> {
        self.send(Method::PATCH, session, partition, changes, condition)
            .await
    }

    async fn send(
        &self,
        method: Method,
        session: &str,
        partition: &str,
        changes: impl IntoIterator<Item = Change>,
        condition: Condition,
    ) -> Result<Written, Error> {
        let body = serde_json::to_vec(&WriteBody::of(changes)).map_err(|e| Error::Invalid(e.to_string()))?;
        let asked = Asked {
            condition,
            body: body.into(),
            content_type: Some("application/json".into()),
        };
        let answer = self.ask(method, place(session, partition), asked).await?;
        Ok(answer.json::<WrittenBody>()?.into())
    }

    /// A key's value and version; `None` where it is not there.
    pub async fn get(
        &self,
        session: &str,
        partition: &str,
        key: &[u8],
    ) -> Result<Option<(Value, u64)>, Error> {
        match self
            .ask(Method::GET, key_place(session, partition, key), Asked::default())
            .await
        {
            Ok(answer) => {
                let version = answer.version()?;
                let content_type = answer.header(&header::CONTENT_TYPE).unwrap_or_default().into();
                let bytes = answer.body;
                Ok(Some((Value { content_type, bytes }, version)))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a key. Its new version.
    pub async fn set(
        &self,
        session: &str,
        partition: &str,
        key: &[u8],
        value: &Value,
        condition: Condition,
    ) -> Result<u64, Error> {
        let asked = Asked {
            condition,
            body: value.bytes.clone(),
            content_type: Some(value.content_type.clone()),
        };
        let answer = self
            .ask(Method::PUT, key_place(session, partition, key), asked)
            .await?;
        answer.version()
    }

    /// Removes a key; false where it was not there.
    pub async fn delete(
        &self,
        session: &str,
        partition: &str,
        key: &[u8],
        condition: Condition,
    ) -> Result<bool, Error> {
        let asked = Asked {
            condition,
            ..Asked::default()
        };
        match self
            .ask(Method::DELETE, key_place(session, partition, key), asked)
            .await
        {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, method: Method, path: String, asked: Asked) -> Result<http::Answer, Error> {
        let answer = self.connections.ask(method, &path, &self.headers, asked).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(answer),
            status => Err(Error::of(status, &answer.body)),
        }
    }
}

fn place(session: &str, partition: &str) -> String {
    format!(
        "/v1/sessions/{}/partitions/{}",
        encode(session, false),
        encode(partition, false)
    )
}

fn key_place(session: &str, partition: &str, key: &[u8]) -> String {
    format!("{}/{}", place(session, partition), encode(key, true))
}

/// Percent-encodes a part of a path; keys keep their `/`, except where a path would lose segments.
fn encode(text: impl AsRef<[u8]>, key: bool) -> String {
    let text = text.as_ref();
    let mut encoded = String::with_capacity(text.len());
    for &byte in text {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (key && byte == b'/');
        match plain {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A value's bytes from text.
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self {
            content_type: "application/octet-stream".into(),
            bytes,
        }
    }
}
