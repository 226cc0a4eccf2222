//! A WebSocket client that numbers its messages and checks the answers.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{HeaderName, HeaderValue},
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use crate::{
    Answer, Checker, Tally, Work,
    backend::socket_config,
    message::{decode, encode},
};

/// Where and as whom a socket connects.
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// Of the backend, or of what is in front of it.
    pub address: SocketAddr,
    /// Path and query; `?push_ms=100` asks a backend for messages of its own accord.
    pub path: String,
    /// Headers of the handshake, such as `x-user`.
    pub headers: Vec<(String, String)>,
    /// Speak TLS with these settings, and ask for this name.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl SocketOptions {
    /// A socket at `/` whose affinity key is `user`, in the header `x-user`.
    pub fn new(address: SocketAddr, user: &str) -> Self {
        Self {
            address,
            path: "/".into(),
            headers: vec![("x-user".into(), user.into())],
            tls: None,
        }
    }

    fn request(&self) -> anyhow::Result<Request> {
        let mut request = format!("ws://{}{}", self.address, self.path).into_client_request()?;
        for (name, value) in &self.headers {
            let (name, value): (HeaderName, HeaderValue) = (name.parse()?, value.parse()?);
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One text frame.
    Text,
    /// One binary frame.
    Binary,
    /// A text message in so many frames (at least one), with a ping between the first two.
    Fragmented(usize),
}

/// A connection, whatever protects it.
trait Io: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Io for S {}

type Stream = WebSocketStream<Box<dyn Io>>;

/// An open WebSocket to a lab backend, perhaps with something in between.
///
/// Sending and receiving may go on at the same time on the halves that [`Socket::split`] gives, which a client
/// of large messages must do: two sides that only write wait for each other.
#[derive(Debug)]
pub struct Socket {
    sender: Sender,
    receiver: Receiver,
    checker: Checker,
}

/// The half of a socket that sends.
#[derive(Debug)]
pub(crate) struct Sender(SplitSink<Stream, Message>);

/// The half of a socket that receives.
#[derive(Debug)]
pub(crate) struct Receiver {
    stream: SplitStream<Stream>,
    closing: bool,
}

/// What arrived.
#[derive(Debug)]
pub(crate) enum Received {
    Answer(Answer, Bytes),
    Garbage,
    /// The other side took leave with a close frame.
    Closed,
    /// The connection ended without one.
    Cut,
}

impl Socket {
    /// Connects. The error has the handshake's status where the answer was no 101.
    pub async fn connect(options: &SocketOptions) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(options.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Io> = match options.tls.clone() {
            None => Box::new(stream),
            Some((config, name)) => Box::new(TlsConnector::from(config).connect(name, stream).await?),
        };
        let (stream, _) = client_async_with_config(options.request()?, stream, Some(socket_config())).await?;
        let (sender, receiver) = stream.split();
        Ok(Self {
            sender: Sender(sender),
            receiver: Receiver {
                stream: receiver,
                closing: false,
            },
            checker: Checker::default(),
        })
    }

    /// Sends the next work item with a payload, which comes back with the answer. Its number.
    pub async fn send(&mut self, payload: &[u8], style: Style) -> Result<u64, Error> {
        let id = self.checker.send();
        self.sender.send(id, payload, style).await?;
        Ok(id)
    }

    /// The next answer, or message that nobody asked for; `None` once the socket is closed. What cannot be
    /// understood is counted and passed over.
    pub async fn next(&mut self) -> Option<(Answer, Bytes)> {
        loop {
            match self.receiver.next().await {
                Received::Closed | Received::Cut => return None,
                Received::Garbage => self.checker.receive_garbage(),
                Received::Answer(answer, payload) => {
                    self.checker.receive(&answer);
                    return Some((answer, payload));
                }
            }
        }
    }

    /// What became of its messages, if nothing more arrives.
    pub fn tally(&self) -> Tally {
        self.checker.tally()
    }

    /// Work items that wait for their answer.
    pub fn pending(&self) -> usize {
        self.checker.pending()
    }

    /// Closes in order, and waits for the other side to do so too.
    pub async fn close(mut self) -> Tally {
        self.sender.close().await;
        while self.next().await.is_some() {}
        self.tally()
    }

    pub(crate) fn split(self) -> (Sender, Receiver, Checker) {
        (self.sender, self.receiver, self.checker)
    }
}

impl Sender {
    pub(crate) async fn send(&mut self, id: u64, payload: &[u8], style: Style) -> Result<(), Error> {
        let bytes = Bytes::from(encode(&Work { id }, payload));
        let frames = match style {
            Style::Fragmented(frames) => return self.send_in_frames(&bytes, frames.max(1)).await,
            Style::Text => 1,
            Style::Binary => return self.0.send(Message::Binary(bytes)).await,
        };
        match bytes.clone().try_into() {
            Ok(text) => self.0.send(Message::Text(text)).await,
            // A payload that is no text travels as one frame all the same, as the only kind that may carry it.
            Err(_) => self.send_in_frames(&bytes, frames).await,
        }
    }

    async fn send_in_frames(&mut self, bytes: &Bytes, frames: usize) -> Result<(), Error> {
        let first = match std::str::from_utf8(bytes) {
            Ok(_) => Data::Text,
            Err(_) => Data::Binary,
        };
        let size = bytes.len().div_ceil(frames).max(1);
        let mut rest = bytes.clone();
        let mut opcode = first;
        while !rest.is_empty() {
            let part = rest.split_to(size.min(rest.len()));
            let frame = Frame::message(part, OpCode::Data(opcode), rest.is_empty());
            self.0.send(Message::Frame(frame)).await?;
            if opcode == first && !rest.is_empty() {
                self.ping().await?;
            }
            opcode = Data::Continue;
        }
        Ok(())
    }

    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.0.send(Message::Ping(Bytes::from_static(b"lab"))).await
    }

    pub(crate) async fn close(&mut self) {
        // A socket that is closed already is as closed as was wished.
        let _ = self.0.send(Message::Close(None)).await;
    }
}

impl Receiver {
    pub(crate) async fn next(&mut self) -> Received {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(_))) => {
                    self.closing = true;
                    continue;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(_)) | None if self.closing => return Received::Closed,
                Some(Err(_)) | None => return Received::Cut,
            };
            return match decode::<Answer>(&message) {
                Some((answer, payload)) => Received::Answer(answer, message.slice_ref(payload)),
                None => Received::Garbage,
            };
        }
    }
}
