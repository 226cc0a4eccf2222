//! What is sent through a proxy.

use clap::ValueEnum;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// HTTP/1.1 keep-alive, answers of 64 B.
    Http64,
    /// HTTP/1.1 keep-alive, answers of 64 KiB.
    #[value(name = "http64k")]
    Http64K,
    /// WebSocket echo of 64 B messages.
    Websocket64,
    /// Memory of idle WebSockets.
    IdleWebsocket,
}

impl Scenario {
    /// All, in the order of the report.
    pub(super) const ALL: [Self; 4] = [
        Self::Http64,
        Self::Http64K,
        Self::Websocket64,
        Self::IdleWebsocket,
    ];

    /// The path that tells the backend what to answer.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Http64 => "/64",
            Self::Http64K => "/65536",
            Self::Websocket64 | Self::IdleWebsocket => "/ws",
        }
    }

    /// Bytes of an answer's body or message.
    pub(super) fn answer_bytes(self) -> usize {
        match self {
            Self::Http64K => 64 * 1024,
            Self::Http64 | Self::Websocket64 | Self::IdleWebsocket => 64,
        }
    }

    /// Whether it speaks WebSocket.
    pub(super) fn is_websocket(self) -> bool {
        matches!(self, Self::Websocket64 | Self::IdleWebsocket)
    }

    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Http64 => "HTTP/1.1 keep-alive, 64 B",
            Self::Http64K => "HTTP/1.1 keep-alive, 64 KiB",
            Self::Websocket64 => "WebSocket echo, 64 B",
            Self::IdleWebsocket => "idle WebSockets",
        }
    }
}
