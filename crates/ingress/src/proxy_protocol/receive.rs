//! Takes a header off a new connection, and nothing behind it.
//!
//! What follows may be a TLS handshake, HTTP, or anything: whoever reads it must find it in the socket. So bytes
//! are looked at before they are taken.

use std::{io, time::Duration};

use foreshift_wire::ProxyVersion;
use tokio::net::TcpStream;

use super::{Error, Header, V1_MAX, V2_MAX, parse};

/// Why a connection was refused before anything was said on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The listener does not trust who connected.
    #[error("{0} is not in the listener's `trusted` networks")]
    Untrusted(std::net::IpAddr),
    /// It sent something else.
    #[error(transparent)]
    Header(#[from] Error),
    /// It sent no whole header in time.
    #[error("no whole PROXY protocol header within {0:?}")]
    Late(Duration),
    /// It closed the connection, or that broke. A load balancer's check of the port looks like this.
    #[error("the connection ended before a PROXY protocol header: {0}")]
    Ended(io::Error),
}

/// Reads a header of `version` within `timeout`.
pub(crate) async fn receive(
    stream: &TcpStream,
    version: ProxyVersion,
    timeout: Duration,
) -> Result<Header, Refused> {
    tokio::time::timeout(timeout, read(stream, version))
        .await
        .map_err(|_| Refused::Late(timeout))?
}

async fn read(stream: &TcpStream, version: ProxyVersion) -> Result<Header, Refused> {
    let max = match version {
        ProxyVersion::V1 => V1_MAX,
        ProxyVersion::V2 => V2_MAX,
    };
    // Nearly every header has its addresses and little else.
    let mut bytes = vec![0; max.min(256)];
    let mut taken = 0;
    loop {
        if taken == bytes.len() {
            bytes.resize(max.max(taken + 1), 0);
        }
        let seen = stream.peek(&mut bytes[taken..]).await.map_err(Refused::Ended)?;
        if seen == 0 {
            return Err(Refused::Ended(io::ErrorKind::UnexpectedEof.into()));
        }
        let parsed = parse(version, &bytes[..taken + seen])?;
        // Of a header that is not whole yet, all that there is belongs to it.
        let end = parsed.map_or(taken + seen, |(_, length)| length);
        while taken < end {
            match stream.try_read(&mut bytes[taken..end]) {
                Ok(0) => return Err(Refused::Ended(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => taken += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    stream.readable().await.map_err(Refused::Ended)?;
                }
                Err(e) => return Err(Refused::Ended(e)),
            }
        }
        if let Some((header, _)) = parsed {
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::proxy_protocol::write;

    /// A connection to which the other side writes `bytes` in pieces of `piece`.
    async fn connection(bytes: Vec<u8>, piece: usize) -> (TcpStream, tokio::task::JoinHandle<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let writing = tokio::spawn(async move {
            for part in bytes.chunks(piece) {
                client.writable().await.unwrap();
                assert_eq!(client.try_write(part).unwrap(), part.len());
                tokio::task::yield_now().await;
            }
            client
        });
        (server, writing)
    }

    #[tokio::test]
    async fn nothing_behind_the_header_is_taken() {
        let header = Header::client("192.0.2.1:5".parse().unwrap(), "192.0.2.2:6".parse().unwrap());
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            for piece in [1, 3, 16, 1000] {
                let mut bytes = Vec::new();
                write(version, &header, &mut bytes);
                bytes.extend_from_slice(b"and more");
                let (mut server, writing) = connection(bytes, piece).await;
                let received = receive(&server, version, Duration::from_secs(60)).await;
                assert_eq!(received.unwrap(), header, "{version:?} by {piece}");
                drop(writing.await.unwrap());
                let mut rest = String::new();
                server.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "and more", "{version:?} by {piece}");
            }
        }
    }

    #[tokio::test]
    async fn silence_and_an_early_end_are_told_apart() {
        let (server, writing) = connection(b"PROXY TC".to_vec(), 8).await;
        let silent = receive(&server, ProxyVersion::V1, Duration::from_millis(20)).await;
        assert!(matches!(silent, Err(Refused::Late(_))), "{silent:?}");
        drop(writing.await.unwrap());
        let ended = receive(&server, ProxyVersion::V1, Duration::from_secs(60)).await;
        assert!(matches!(ended, Err(Refused::Ended(_))), "{ended:?}");
        let (server, _writing) = connection(b"GET / HTTP/1.1\r\n".to_vec(), 100).await;
        let other = receive(&server, ProxyVersion::V1, Duration::from_secs(60)).await;
        assert!(
            matches!(other, Err(Refused::Header(Error::NoHeader))),
            "{other:?}"
        );
    }
}
