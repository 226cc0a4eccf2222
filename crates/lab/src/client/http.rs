//! A keep-alive HTTP/1.1 client, as small as a load generator wants it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, task::JoinHandle};

/// One connection to one address, opened again when the other side closed it or may be about to.
#[derive(Debug)]
pub struct HttpClient {
    address: SocketAddr,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    used: Instant,
}

/// A connection that idled this long is not used again: servers close theirs after a minute or so, and a request that
/// meets the close on its way is lost.
const IDLE_MAX: Duration = Duration::from_secs(30);

impl Connection {
    fn is_good(&self) -> bool {
        !self.sender.is_closed() && self.used.elapsed() < IDLE_MAX
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl HttpClient {
    /// A client that connects with its first request.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Sends one request and reads the whole answer. Never sends it twice. Without a `Host` header it adds one.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
        let host = self.address.to_string().try_into()?;
        request.headers_mut().entry("host").or_insert(host);
        let mut connection = match self.connection.take().filter(Connection::is_good) {
            Some(connection) => connection,
            None => connect(self.address).await?,
        };
        connection.sender.ready().await?;
        let (head, body) = connection.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.used = Instant::now();
        self.connection = Some(connection);
        Ok(Response::from_parts(head, body))
    }

    /// `GET path` with these headers.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Response<Bytes>> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::default())?).await
    }

    /// `GET path` as JSON; any status but 200 is an error.
    pub async fn get_json<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        let response = self.get(path, &[]).await?;
        anyhow::ensure!(
            response.status() == 200,
            "GET {path} on {}: {}",
            self.address,
            response.status()
        );
        Ok(serde_json::from_slice(response.body())?)
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    // Its error is also the request's.
    let driver = tokio::spawn(async { drop(driver.await) });
    let used = Instant::now();
    Ok(Connection { sender, driver, used })
}
