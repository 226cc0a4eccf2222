//! One WebSocket connection, in a task of its own.
//!
//! It is not read from while what came last waits to be taken, so that a driver holds a connection back by not listening.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::core::{Loss, Message};

/// How long a connection may take to end after its close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// What a connection tells.
pub(crate) enum Said {
    Opened,
    Message(Message),
    /// The last.
    Lost(Loss),
}

/// What it is told.
pub(crate) enum Order {
    Send(Message),
    Close { code: u16, reason: String },
}

trait Bytes: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Bytes for T {}

type Ws = WebSocketStream<Box<dyn Bytes>>;

/// Opens a connection and keeps it until it has ended, or nobody listens.
pub(crate) async fn run(
    request: Request<()>,
    tls: Option<Arc<ClientConfig>>,
    connect_within: Duration,
    mut orders: mpsc::Receiver<Order>,
    said: mpsc::Sender<Said>,
) {
    // Who gives an order before it is open wants it gone.
    let opening = tokio::time::timeout(connect_within, open(request, tls));
    let opened = tokio::select! {
        opened = opening => opened.unwrap_or_else(|_| Err(broken("not opened in time"))),
        () = closed(&mut orders) => Err(broken("given up")),
    };
    let loss = match opened {
        Ok(ws) if said.send(Said::Opened).await.is_ok() => talk(ws, orders, &said).await,
        Ok(_) => return,
        Err(loss) => loss,
    };
    let _ = said.send(Said::Lost(loss)).await;
}

async fn closed(orders: &mut mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if matches!(order, Order::Close { .. }) {
            return;
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it maps errors")]
fn broken(why: impl ToString) -> Loss {
    Loss {
        code: 1006,
        reason: why.to_string(),
        status: None,
    }
}

async fn open(request: Request<()>, tls: Option<Arc<ClientConfig>>) -> Result<Ws, Loss> {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let encrypted = uri.scheme_str() == Some("wss");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let socket = TcpStream::connect((host.as_str(), port)).await.map_err(broken)?;
    socket.set_nodelay(true).map_err(broken)?;
    let stream: Box<dyn Bytes> = match tls.filter(|_| encrypted) {
        Some(tls) => {
            let name = ServerName::try_from(host).map_err(broken)?;
            let connector = tokio_rustls::TlsConnector::from(tls);
            Box::new(connector.connect(name, socket).await.map_err(broken)?)
        }
        None if encrypted => return Err(broken("no TLS settings for a wss: address")),
        None => Box::new(socket),
    };
    match client_async(request, stream).await {
        Ok((ws, _)) => Ok(ws),
        Err(tungstenite::Error::Http(answer)) => Err(Loss {
            status: Some(answer.status().as_u16()),
            ..broken(format!("answered {}", answer.status()))
        }),
        Err(error) => Err(broken(error)),
    }
}

/// Carries messages both ways until the end.
async fn talk(mut ws: Ws, mut orders: mpsc::Receiver<Order>, said: &mpsc::Sender<Said>) -> Loss {
    let mut untaken: Option<Message> = None;
    let mut farewell: Option<Loss> = None;
    let mut by: Option<Instant> = None;
    loop {
        tokio::select! {
            taken = said.reserve(), if untaken.is_some() => match (taken, untaken.take()) {
                (Ok(permit), Some(message)) => permit.send(Said::Message(message)),
                _ => return broken("nobody listens"),
            },
            order = orders.recv(), if by.is_none() => match order {
                Some(Order::Send(message)) => {
                    if let Err(error) = ws.send(frame(message)).await {
                        return farewell.unwrap_or_else(|| broken(error));
                    }
                }
                order => {
                    let (code, reason) = match order {
                        Some(Order::Close { code, reason }) => (code, reason),
                        _ => (1001, String::new()),
                    };
                    by = Some(Instant::now() + CLOSING);
                    let close = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                    if ws.send(tungstenite::Message::Close(Some(close))).await.is_err() {
                        return farewell.unwrap_or_else(|| broken("broke while it was closed"));
                    }
                }
            },
            came = ws.next(), if untaken.is_none() => match came {
                Some(Ok(tungstenite::Message::Text(text))) => untaken = Some(Message::Text(text.as_str().into())),
                Some(Ok(tungstenite::Message::Binary(bytes))) => untaken = Some(Message::Binary(bytes.to_vec())),
                Some(Ok(tungstenite::Message::Close(close))) => {
                    farewell = Some(loss(close));
                    by.get_or_insert_with(|| Instant::now() + CLOSING);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return farewell.unwrap_or_else(|| broken(error)),
                None => return farewell.unwrap_or_else(|| broken("ended without a close frame")),
            },
            () = sleep_until(by.unwrap_or_else(Instant::now)), if by.is_some() => {
                return farewell.unwrap_or_else(|| broken("did not end in time"));
            }
        }
    }
}

fn loss(close: Option<CloseFrame>) -> Loss {
    let (code, reason) = match close {
        Some(close) => (close.code.into(), close.reason.as_str().into()),
        None => (1005, String::new()),
    };
    Loss {
        code,
        reason,
        status: None,
    }
}

fn frame(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => tungstenite::Message::Text(text.into()),
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes.into()),
    }
}

/// The handshake of a connection. `Err` where address, subprotocols or headers are not usable.
pub(crate) fn handshake(
    url: &str,
    protocols: &[String],
    headers: &[(String, String)],
    token: Option<&str>,
) -> Result<Request<()>, String> {
    use tungstenite::client::IntoClientRequest;
    let mut request = url.into_client_request().map_err(|e| e.to_string())?;
    let mut set = |name: &str, value: &str| {
        let name = http::HeaderName::try_from(name).map_err(|e| e.to_string())?;
        let value = HeaderValue::try_from(value).map_err(|e| e.to_string())?;
        request.headers_mut().insert(name, value);
        Ok::<_, String>(())
    };
    for (name, value) in headers {
        set(name, value)?;
    }
    let offer: Vec<&str> = std::iter::once("foreshift.v1")
        .chain(protocols.iter().map(|p| &**p))
        .collect();
    set("Sec-WebSocket-Protocol", &offer.join(", "))?;
    if let Some(token) = token {
        set("Foreshift-Token", token)?;
    }
    Ok(request)
}
