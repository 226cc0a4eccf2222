//! Both ends of a connection byte by byte, for what no well-behaved client or server would say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::PATIENCE;

/// One side of a connection.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    buffer: Vec<u8>,
}

/// A request or an answer, whole.
#[derive(Debug, Clone)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// As they came.
    pub fields: Vec<(String, String)>,
    /// Unframed.
    pub body: Vec<u8>,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| panic!("not a status line: {}", self.start))
    }

    pub fn path(&self) -> &str {
        self.start.split(' ').nth(1).expect("a request line")
    }

    /// All values of a field, joined by `, `.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.field(name)
            .is_some_and(|v| v.to_ascii_lowercase().contains(token))
    }
}

/// One WebSocket frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub compressed: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame.
    pub fn close_code(&self) -> Option<u16> {
        (self.opcode == 8 && self.payload.len() >= 2)
            .then(|| u16::from_be_bytes([self.payload[0], self.payload[1]]))
    }
}

/// A frame's bytes; `mask` as clients do it.
pub fn frame(first: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if mask { 0x80 } else { 0 };
    match payload.len() {
        n @ 0..=125 => bytes.push(bit | n as u8),
        n @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((n as u16).to_be_bytes());
        }
        n => {
            bytes.push(bit | 127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    if mask {
        let key = [7, 11, 13, 17];
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Handshake of a client with the key `user`, with further lines.
pub fn handshake(user: &str, more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: lab\r\nx-user: {user}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

impl Raw {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a live socket");
        Self::over(stream)
    }

    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("it listens"))
    }

    /// Connects and shakes hands.
    pub async fn websocket(address: SocketAddr, user: &str, more: &str) -> (Self, Message) {
        let mut raw = Self::connect(address).await;
        raw.send(handshake(user, more)).await;
        let answer = raw.answer(true).await;
        (raw, answer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("the other side reads").expect("it is there");
    }

    /// Reads more; false at the end, however the connection ended.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        matches!(read.expect("something comes"), Ok(1..))
    }

    pub async fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            let so_far = self.buffer.len();
            assert!(self.more().await, "ended after {so_far} of {n} bytes");
        }
        self.buffer.drain(..n).collect()
    }

    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|w| w == mark) {
                return Some(self.buffer.drain(..at + mark.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// What comes before the end.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Asserts that the other side ends it, without another byte.
    pub async fn closes(&mut self) {
        let rest = self.until_closed().await;
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    /// Reads a head; `None` where the connection ends before it.
    pub async fn head(&mut self) -> Option<Message> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.split("\r\n");
        let start = lines.next().expect("split gives one at least").to_owned();
        let fields = lines
            .filter(|l| !l.is_empty())
            .map(|l| l.split_once(": ").expect("name and value"))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        Some(Message {
            start,
            fields,
            body: Vec::new(),
        })
    }

    /// Reads the body behind a request's head.
    pub async fn rest(&mut self, message: &mut Message) {
        self.body(message).await;
    }

    /// A whole answer. `bare`: it has no body, whatever it says, as after HEAD.
    pub async fn answer(&mut self, bare: bool) -> Message {
        let mut message = self.head().await.expect("an answer");
        let bare = bare || matches!(message.status(), 100..200 | 204 | 304);
        if !bare && !self.body(&mut message).await {
            message.body = self.until_closed().await;
        }
        message
    }

    /// A whole request; `None` where the connection ends first.
    pub async fn request(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        self.body(&mut message).await;
        Some(message)
    }

    /// Reads a framed body. False where there is no framing.
    async fn body(&mut self, message: &mut Message) -> bool {
        if message.has_token("transfer-encoding", "chunked") {
            loop {
                let size = self.until(b"\r\n").await.expect("a chunk");
                let size = std::str::from_utf8(&size).expect("a size").trim();
                let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
                if size == 0 {
                    assert_eq!(self.take(2).await, b"\r\n", "no trailers");
                    return true;
                }
                message.body.extend(self.take(size).await);
                self.take(2).await;
            }
        }
        let Some(length) = message.field("content-length") else {
            return false;
        };
        message.body = self.take(length.parse().expect("a number")).await;
        true
    }

    /// The next chunk of a chunked body; `None` at its end or the connection's.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n").await?;
        let size = std::str::from_utf8(&size).expect("a size").trim();
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        let chunk = self.take(size).await;
        self.take(2).await;
        (size > 0).then_some(chunk)
    }

    /// Answers `200` with a body.
    pub async fn ok(&mut self, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.send(head).await;
    }

    /// As a node: takes a handshake and agrees to it, with further lines.
    pub async fn agree(&mut self, more: &str) -> Message {
        let request = self.request().await.expect("a handshake");
        let key = request.field("sec-websocket-key").expect("a WebSocket handshake");
        let accept = derive_accept_key(key.as_bytes());
        self.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        ))
        .await;
        request
    }

    /// The next frame; `None` where the connection ends first.
    pub async fn frame(&mut self) -> Option<Frame> {
        while self.buffer.len() < 2 {
            if !self.more().await {
                return None;
            }
        }
        let head = self.take(2).await;
        let length = match head[1] & 0x7f {
            126 => self.take(2).await.iter().fold(0, |n, b| n << 8 | usize::from(*b)),
            127 => self.take(8).await.iter().fold(0, |n, b| n << 8 | usize::from(*b)),
            short => usize::from(short),
        };
        let mask = if head[1] & 0x80 != 0 {
            self.take(4).await
        } else {
            vec![0; 4]
        };
        let payload = self.take(length).await;
        Some(Frame {
            fin: head[0] & 0x80 != 0,
            compressed: head[0] & 0x40 != 0,
            opcode: head[0] & 0x0f,
            payload: payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(b, k)| b ^ k)
                .collect(),
        })
    }

    /// The next frame must be a whole text message.
    pub async fn text(&mut self) -> String {
        let frame = self.frame().await.expect("a message");
        assert!(frame.fin && frame.opcode == 1, "{frame:?}");
        String::from_utf8(frame.payload).expect("text")
    }
}

/// A node that the test speaks for.
pub struct RawNode {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl RawNode {
    pub async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        Self { listener, address }
    }

    /// The next connection of the data plane.
    pub async fn accept(&self) -> Raw {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        Raw::new(accepted.expect("somebody connects").expect("it listens").0)
    }

    /// As [`Self::accept`], however long it takes.
    pub async fn accept_any(&self) -> TcpStream {
        self.listener.accept().await.expect("it listens").0
    }

    /// Whether nobody is waiting to be accepted.
    pub fn is_left_alone(&self) -> bool {
        use futures_util::FutureExt;
        self.listener.accept().now_or_never().is_none()
    }
}

/// A node that answers everything with 200, the path and the body's length, and remembers what it was sent.
pub struct Recorder {
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    heads: Vec<Message>,
    connections: usize,
}

impl Recorder {
    pub async fn start() -> Self {
        let node = RawNode::start().await;
        let address = node.address;
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = book.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = node.listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (book, mut raw) = (shared.clone(), Raw::new(stream));
                tokio::spawn(async move {
                    while let Some(mut message) = raw.head().await {
                        book.lock().unwrap().heads.push(message.clone());
                        raw.body(&mut message).await;
                        let body = format!("{} {}", message.path(), message.body.len());
                        raw.ok(&body).await;
                    }
                });
            }
        });
        Self { address, book }
    }

    /// Heads that arrived, whether or not their bodies did.
    pub fn heads(&self) -> Vec<Message> {
        self.book.lock().unwrap().heads.clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.book.lock().unwrap().connections
    }
}
