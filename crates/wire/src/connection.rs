//! Open client connections as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ConnectionId, NodeId, PoolName, SessionId};

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// HTTP/1.1, kept alive between requests.
    Http1,
    /// One HTTP/2 stream.
    Http2,
    /// A WebSocket.
    Websocket,
    /// A stream of server-sent events.
    EventStream,
    /// TCP that is relayed without a look at it; it stays with its node.
    Tcp,
    /// TCP whose frames are known, so that it can be moved between two of them.
    TcpFramed,
}

/// One open client connection (for HTTP/2, one stream).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionInfo {
    /// Unique within a run of the ingress; the header `Foreshift-Connection` carries it.
    #[schema(value_type = u64)]
    pub id: ConnectionId,
    /// The pool that serves it.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// The node that serves it.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// Its affinity key, shortened to 64 characters.
    pub key: String,
    /// What is spoken.
    pub kind: ConnectionKind,
    /// The client's address.
    pub client: String,
    /// When it was accepted, in Unix milliseconds.
    pub since_ms: u64,
    /// Requests, or data messages from the client.
    pub requests: u64,
    /// Bytes in both directions.
    pub bytes: u64,
    /// How often it was switched to another node.
    pub switches: u32,
    /// A hand-over is under way.
    pub moving: bool,
}

/// Which connections to list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionFilter {
    /// Only this one.
    #[param(value_type = Option<u64>)]
    pub id: Option<ConnectionId>,
    /// Only of this pool.
    #[param(value_type = Option<String>)]
    pub pool: Option<PoolName>,
    /// Only on this node.
    #[param(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// Only of this affinity key.
    pub key: Option<String>,
    /// Only of this session.
    #[param(value_type = Option<String>)]
    pub session: Option<SessionId>,
    /// At most so many; 1,000 where absent.
    pub limit: Option<usize>,
}

/// Body of `POST /v1/connections/{id}/migrate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateRequest {
    /// The node to move the connection's session to.
    #[schema(value_type = String)]
    pub target: NodeId,
}
