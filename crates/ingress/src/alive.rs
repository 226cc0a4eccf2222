//! Finding out that whoever is at the other end of a connection has vanished without closing it.
//!
//! A machine that loses its power or its network says nothing more, so the kernel asks: of a silent peer by keep-alive
//! probes, of one that owes acknowledgements by a limit to their lateness.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a node's machine may leave what it was sent unacknowledged.
const NODE_SILENT: Duration = Duration::from_secs(30);

/// For clients: the network between may be bad, and an idle client costs little. Found after some two minutes.
pub(crate) fn clients() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4)
}

/// For the connection to a node: found after half a minute, whether it is idle or not.
pub(crate) fn watch_node(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(NODE_SILENT))
}
