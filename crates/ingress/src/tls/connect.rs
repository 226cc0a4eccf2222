//! TLS with a node.

use std::{io, net::IpAddr, time::Duration};

use foreshift_tls::NodeTls;
use rustls::client::UnbufferedClientConnection;

use super::{
    handshake::{Failure, shake_hands},
    session::Session,
    stream::TlsStream,
};
use crate::{io::Deadline, stream::Stream};

/// Shakes hands with the node at `address`, over a connection of which nothing was read yet. `http2`: it must agree to that.
pub(crate) async fn connect(
    stream: Stream,
    settings: &NodeTls,
    address: IpAddr,
    http2: bool,
    within: Duration,
) -> io::Result<Stream> {
    let Stream::Plain(socket) = stream else {
        return Ok(stream);
    };
    let config = if http2 { &settings.http2 } else { &settings.http1 };
    let mut deadline = Deadline::default();
    deadline.after(within);
    let session = UnbufferedClientConnection::new(config.clone(), settings.name_of(address));
    let session = session.map_err(|error| failed(&Failure::Tls(error)))?;
    let mut stream = TlsStream::new(socket, Session::Client(Box::new(session)));
    shake_hands(&mut stream, &mut deadline)
        .await
        .map_err(|failure| failed(&failure))?;
    if http2 && !stream.chose_http2() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "TLS: the node does not speak HTTP/2 (it did not choose \"h2\" by ALPN)",
        ));
    }
    Ok(Stream::Tls(Box::new(stream)))
}

fn failed(failure: &Failure) -> io::Error {
    let kind = match failure {
        Failure::Timeout => io::ErrorKind::TimedOut,
        Failure::Ended => io::ErrorKind::UnexpectedEof,
        Failure::Io(error) => error.kind(),
        Failure::Tls(_) => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, format!("TLS: {failure}"))
}
