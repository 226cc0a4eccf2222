//! One check of one node: a TCP connect, or an HTTP request that must be answered with 2xx or 3xx.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use foreshift_wire::{ProxyVersion, UpstreamProtocol};
use http_body_util::Empty;
use hyper::{Request, StatusCode, client::conn, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// What is asked of a node.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) path: Option<String>,
    pub(super) protocol: UpstreamProtocol,
    /// The node expects connections to begin with a header of this.
    pub(super) proxy: Option<ProxyVersion>,
    pub(super) timeout: Duration,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("connect: {0}")]
    Connect(std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the health path is no URI: {0}")]
    Path(#[from] hyper::http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
}

impl Probe {
    /// Checks the node at `address` once.
    pub(super) async fn run(&self, address: SocketAddr) -> Result<(), Failure> {
        tokio::time::timeout(self.timeout, self.attempt(address))
            .await
            .unwrap_or(Err(Failure::Timeout(self.timeout)))
    }

    async fn attempt(&self, address: SocketAddr) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(address).await.map_err(Failure::Connect)?;
        if let Some(version) = self.proxy {
            stream
                .write_all(version.own_header())
                .await
                .map_err(Failure::Connect)?;
        }
        let Some(path) = &self.path else { return Ok(()) };
        let status = match self.protocol {
            UpstreamProtocol::Auto => http1(stream, address, path).await?,
            UpstreamProtocol::H2c => http2(stream, address, path).await?,
        };
        match status.is_success() || status.is_redirection() {
            true => Ok(()),
            false => Err(Failure::Status(status)),
        }
    }
}

async fn http1(stream: TcpStream, address: SocketAddr, path: &str) -> Result<StatusCode, Failure> {
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "foreshift-health")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
    // Polled here rather than spawned, so that nothing of a check outlives it. The body is not read.
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        Err(error) = connection => Err(error.into()),
    }
}

async fn http2(stream: TcpStream, address: SocketAddr, path: &str) -> Result<StatusCode, Failure> {
    let request = Request::get(format!("http://{address}{path}"))
        .header(header::USER_AGENT, "foreshift-health")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        Err(error) = connection => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn node(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        address
    }

    fn probe(path: Option<&str>) -> Probe {
        Probe {
            path: path.map(Into::into),
            protocol: UpstreamProtocol::Auto,
            proxy: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn only_2xx_and_3xx_pass() {
        for (answer, passes) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            (
                "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nnot all of it",
                true,
            ),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false),
            (
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
                false,
            ),
            ("garbage\r\n\r\n", false),
            ("", false),
        ] {
            let result = probe(Some("/healthz")).run(node(answer).await).await;
            assert_eq!(result.is_ok(), passes, "{answer:?} {result:?}");
        }
    }

    #[tokio::test]
    async fn without_a_path_a_connect_is_enough() {
        probe(None).run(node("").await).await.unwrap();
    }

    #[tokio::test]
    async fn a_check_says_that_it_speaks_for_itself() {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            for path in [None, Some("/")] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let probe = Probe {
                    proxy: Some(version),
                    ..probe(path)
                };
                let address = listener.local_addr().unwrap();
                let check = tokio::spawn(async move { probe.run(address).await });
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut header = vec![0; version.own_header().len()];
                stream.read_exact(&mut header).await.unwrap();
                assert_eq!(header, version.own_header());
                drop(stream);
                assert_eq!(check.await.unwrap().is_ok(), path.is_none());
            }
        }
    }

    #[tokio::test]
    async fn a_closed_port_and_a_silent_node_fail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hasty = Probe {
            timeout: Duration::from_millis(20),
            ..probe(Some("/"))
        };
        assert!(matches!(hasty.run(address).await, Err(Failure::Timeout(_))));
        drop(listener);
        assert!(matches!(probe(None).run(address).await, Err(Failure::Connect(_))));
    }
}
