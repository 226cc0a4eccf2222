//! TLS with a client.

use std::sync::Arc;

use rustls::{ServerConfig, server::UnbufferedServerConnection};
use tokio::net::TcpStream;

use super::{
    handshake::{Failure, shake_hands},
    session::Session,
    stream::TlsStream,
};
use crate::{
    io::{Deadline, linger},
    stream::Stream,
};

/// Shakes hands with a client until the deadline. One with whom that fails is told why, as far as it listens.
pub(crate) async fn accept(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    deadline: &mut Deadline,
) -> Result<Stream, Failure> {
    let session = UnbufferedServerConnection::new(config).map_err(Failure::Tls)?;
    let mut stream = TlsStream::new(socket, Session::Server(Box::new(session)));
    match shake_hands(&mut stream, deadline).await {
        Ok(()) => Ok(Stream::Tls(Box::new(stream))),
        Err(failure) => {
            if matches!(failure, Failure::Tls(_)) {
                // A plain close would discard the alert where the client has sent more than was read.
                linger(Stream::Plain(stream.into_socket())).await;
            }
            Err(failure)
        }
    }
}
