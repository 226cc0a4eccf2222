//! One check of one node: a TCP connect, or an HTTP request that must be answered with 2xx or 3xx.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use foreshift_tls::{NodeTls, Watched};
use foreshift_wire::{ProxyVersion, UpstreamProtocol};
use http_body_util::Empty;
use hyper::{Request, StatusCode, client::conn, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is asked of a node.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) path: Option<String>,
    pub(super) protocol: UpstreamProtocol,
    /// The node expects connections to begin with a header of this.
    pub(super) proxy: Option<ProxyVersion>,
    /// The node speaks TLS.
    pub(super) tls: Option<Arc<Watched<NodeTls>>>,
    pub(super) timeout: Duration,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("connect: {0}")]
    Connect(std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("the node does not speak HTTP/2 (it did not choose \"h2\" by ALPN)")]
    NotHttp2,
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
        let http2 = self.protocol.is_http2();
        let host = Host {
            address,
            secure: self.tls.is_some(),
        };
        let status = match &self.tls {
            None => ask(stream, self.path.as_deref(), host, http2).await?,
            Some(tls) => {
                let stream = shake_hands(stream, &tls.current(), address, http2).await?;
                ask(stream, self.path.as_deref(), host, http2).await?
            }
        };
        let Some(status) = status else { return Ok(()) };
        match status.is_success() || status.is_redirection() {
            true => Ok(()),
            false => Err(Failure::Status(status)),
        }
    }
}

/// A node's certificate is checked even where a connection is enough.
async fn shake_hands(
    stream: TcpStream,
    tls: &NodeTls,
    address: SocketAddr,
    http2: bool,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = if http2 { &tls.http2 } else { &tls.http1 };
    let connector = TlsConnector::from(config.clone());
    let shaken = connector.connect(tls.name_of(address.ip()), stream).await;
    let stream = shaken.map_err(Failure::Tls)?;
    let chose_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    match http2 && !chose_http2 {
        true => Err(Failure::NotHttp2),
        false => Ok(stream),
    }
}

/// `None` where nothing is asked.
async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    path: Option<&str>,
    host: Host,
    http2: bool,
) -> Result<Option<StatusCode>, Failure> {
    Ok(match (path, http2) {
        (None, _) => None,
        (Some(path), false) => Some(http1(stream, host, path).await?),
        (Some(path), true) => Some(self::http2(stream, host, path).await?),
    })
}

/// What a request says of the node.
#[derive(Clone, Copy)]
struct Host {
    address: SocketAddr,
    secure: bool,
}

async fn http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    host: Host,
    path: &str,
) -> Result<StatusCode, Failure> {
    let request = Request::get(path)
        .header(header::HOST, host.address.to_string())
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

async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    Host { address, secure }: Host,
    path: &str,
) -> Result<StatusCode, Failure> {
    let scheme = if secure { "https" } else { "http" };
    let request = Request::get(format!("{scheme}://{address}{path}"))
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
            tls: None,
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

    /// A node under TLS whose certificate is for `name`. Returns where it is and a file with its authority.
    async fn tls_node(name: &str, folder: &std::path::Path) -> (SocketAddr, std::path::PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(foreshift_tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let accepted = tokio_rustls::TlsAcceptor::from(Arc::new(config))
                .accept(stream)
                .await;
            let Ok(mut stream) = accepted else { return };
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
            let _ = stream.shutdown().await;
        });
        (address, file)
    }

    #[tokio::test]
    async fn a_node_under_tls_passes_only_with_the_certificate_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for (name, path, passes) in [
            ("node.internal", Some("/healthz"), true),
            ("node.internal", None, true),
            ("other.internal", Some("/healthz"), false),
            ("other.internal", None, false),
        ] {
            let (address, ca) = tls_node(name, folder.path()).await;
            let tls = foreshift_wire::PoolTls {
                ca: Some(ca),
                server_name: Some("node.internal".into()),
                ..foreshift_wire::PoolTls::default()
            };
            let opened = foreshift_tls::pool(&tls, std::time::SystemTime::now()).unwrap();
            let probe = Probe {
                tls: Some(Arc::new(opened.watched)),
                ..probe(path)
            };
            match probe.run(address).await {
                Ok(()) => assert!(passes, "{name} {path:?}"),
                Err(failure) => assert!(
                    !passes && failure.to_string().starts_with("TLS: "),
                    "{name} {path:?}: {failure}"
                ),
            }
        }
    }
}
