//! What is sent through a proxy.

use clap::ValueEnum;

/// What counts as one answer of a bulk transfer.
pub(super) const MIB: usize = 1024 * 1024;

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
    /// HTTP/1.1 keep-alive under TLS 1.3, answers of 64 B.
    Tls64,
    /// The same with answers of 64 KiB.
    #[value(name = "tls64k")]
    Tls64K,
    /// Memory of idle keep-alive connections under TLS 1.3.
    IdleTls,
    /// TCP: 64 B there and back.
    Tcp64,
    /// TCP: one connection on which a node sends all it can.
    TcpBulk,
}

impl Scenario {
    /// All, in the order of the report.
    pub(super) const ALL: [Self; 9] = [
        Self::Http64,
        Self::Http64K,
        Self::Websocket64,
        Self::IdleWebsocket,
        Self::Tls64,
        Self::Tls64K,
        Self::IdleTls,
        Self::Tcp64,
        Self::TcpBulk,
    ];

    /// The path that tells the backend what to answer.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Http64 | Self::Tls64 | Self::IdleTls => "/64",
            Self::Http64K | Self::Tls64K => "/65536",
            Self::Websocket64 | Self::IdleWebsocket => "/ws",
            Self::Tcp64 | Self::TcpBulk => "",
        }
    }

    /// Bytes of an answer's body or message.
    pub(super) fn answer_bytes(self) -> usize {
        match self {
            Self::Http64K | Self::Tls64K => 64 * 1024,
            Self::Http64
            | Self::Tls64
            | Self::IdleTls
            | Self::Websocket64
            | Self::IdleWebsocket
            | Self::Tcp64 => 64,
            Self::TcpBulk => MIB,
        }
    }

    /// Whether proxies pass on bytes of a protocol that they do not know.
    pub(super) fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp64 | Self::TcpBulk)
    }

    /// Whether it speaks WebSocket.
    pub(super) fn is_websocket(self) -> bool {
        matches!(self, Self::Websocket64 | Self::IdleWebsocket)
    }

    /// Whether clients and proxy speak TLS.
    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::Tls64 | Self::Tls64K | Self::IdleTls)
    }

    /// Whether connections only rest, and their memory is measured.
    pub(super) fn is_idle(self) -> bool {
        matches!(self, Self::IdleWebsocket | Self::IdleTls)
    }

    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Http64 => "HTTP/1.1 keep-alive, 64 B",
            Self::Http64K => "HTTP/1.1 keep-alive, 64 KiB",
            Self::Websocket64 => "WebSocket echo, 64 B",
            Self::IdleWebsocket => "idle WebSockets",
            Self::Tls64 => "HTTP/1.1 keep-alive, 64 B, TLS 1.3",
            Self::Tls64K => "HTTP/1.1 keep-alive, 64 KiB, TLS 1.3",
            Self::IdleTls => "idle keep-alive connections, TLS 1.3",
            Self::Tcp64 => "TCP ping-pong, 64 B",
            Self::TcpBulk => "TCP bulk, each MiB",
        }
    }
}
