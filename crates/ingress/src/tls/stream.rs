//! A TCP connection under TLS, with the calls of a socket.
//!
//! What is written is reported as written once it is encrypted; of that, the socket may not have taken all. The rest is sent by
//! whatever is called next: another write, [`TlsStream::poll_flush`], or waiting to read, which whoever waits for an answer does.
//! So it never lies here while somebody waits for what it may bring. At most one write's worth is kept: before it is sent,
//! nothing more is taken.

use std::{
    cell::RefCell,
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
};

use foreshift_tls::Identity;
use tokio::{io::Interest, net::TcpStream};

use super::session::{Session, Sink, Stand, Wish};

/// Ciphertext that is read at once. The largest handshake message and its records' heads fit.
const READ: usize = 68 * 1024;
/// Most bytes that are encrypted for one write.
const WRITE: usize = 64 * 1024;
/// The same after a write that the socket did not take whole: a slow peer keeps less memory.
const WRITE_SLOWLY: usize = 16 * 1024;
/// More than the heads and tags of all records of one write, and of a change of keys before them.
const OVERHEAD: usize = 1024;
/// A record's head, and the most that can be in it.
const HEAD: usize = 5;
/// Most ciphertext that waits while the peer makes us answer without reading.
const UNSENT_MAX: usize = 256 * 1024;

thread_local! {
    /// Where the thread's connections read ciphertext into, and write it from.
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
    static OUTPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; WRITE + OVERHEAD]);
}

/// A connection under TLS.
pub(crate) struct TlsStream {
    socket: TcpStream,
    state: RefCell<State>,
    identity: Option<Arc<Identity>>,
}

/// A connection on its way to another thread's runtime.
pub(crate) struct PortableTls {
    socket: std::net::TcpStream,
    state: State,
    identity: Option<Arc<Identity>>,
}

impl PortableTls {
    /// Goes on with this thread's runtime.
    pub(crate) fn arrive(self) -> io::Result<TlsStream> {
        Ok(TlsStream {
            socket: TcpStream::from_std(self.socket)?,
            state: RefCell::new(self.state),
            identity: self.identity,
        })
    }
}

impl fmt::Debug for PortableTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortableTls")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer said that it sends nothing more.
    Closed,
    /// The connection ended without a word: what came may not be all.
    Cut,
    /// The peer broke the protocol.
    Violated,
}

/// What outlives a call.
struct State {
    session: Session,
    /// Ciphertext of records that are not whole yet, or for which there was no room.
    incoming: Vec<u8>,
    /// Decrypted, and not read yet.
    plain: Vec<u8>,
    plain_read: usize,
    /// Ciphertext that the socket did not take yet.
    unsent: Vec<u8>,
    sent: usize,
    slow: bool,
    closing: bool,
    end: Option<End>,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    pub(super) fn new(socket: TcpStream, session: Session) -> Self {
        Self {
            socket,
            state: RefCell::new(State {
                session,
                incoming: Vec::new(),
                plain: Vec::new(),
                plain_read: 0,
                unsent: Vec::new(),
                sent: 0,
                slow: false,
                closing: false,
                end: None,
            }),
            identity: None,
        }
    }

    /// The handshake is done: notes whom it was done with.
    pub(super) fn identify(&mut self) {
        let state = self.state.get_mut();
        let certificates = state.session.state().peer_certificates();
        let identity = certificates.and_then(|all| Identity::of(all.first()?));
        self.identity = identity.map(Arc::new);
    }

    /// Leaves this thread's runtime.
    pub(crate) fn leave(self) -> io::Result<PortableTls> {
        Ok(PortableTls {
            socket: self.socket.into_std()?,
            state: self.state.into_inner(),
            identity: self.identity,
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether HTTP/2 was agreed on.
    pub(super) fn chose_http2(&self) -> bool {
        self.state.borrow().session.state().alpn_protocol() == Some(b"h2")
    }

    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Who the peer is by its certificate, where it showed one that was verified.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Takes steps until more input is needed. True once the handshake is done.
    pub(super) fn handshake_step(&self) -> Result<bool, rustls::Error> {
        let mut state = self.state.borrow_mut();
        let ended = state.process_kept(&mut [], true);
        ended.map(|_| !state.session.state().is_handshaking())
    }

    /// Reads ciphertext of the handshake. 0 is the end.
    pub(super) fn handshake_read(&self) -> io::Result<usize> {
        INPUT.with_borrow_mut(|input| {
            let mut state = self.state.borrow_mut();
            let room = input.len().saturating_sub(state.incoming.len());
            if room == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a handshake message is too large",
                ));
            }
            let n = read_some(&self.socket, &mut input[..room])?;
            state.incoming.extend_from_slice(&input[..n]);
            Ok(n)
        })
    }

    /// Ready once a read is worth trying. Sends what waits to be sent.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        // An error of sending shows at the next write; there may still be something to read.
        let _ = state.poll_flush(&self.socket, cx);
        if state.can_read() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(cx)
    }

    /// Ready once a write is worth trying.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Ready once the socket has taken everything that was written.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().poll_flush(&self.socket, cx)
    }

    /// Sends what waits to be sent. False where the socket does not take all of it now.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        self.state.borrow_mut().flush(&self.socket)
    }

    /// Reads what is there; 0 is the end that the peer announced, `WouldBlock` nothing. An end that it did not announce is
    /// `UnexpectedEof`.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if state.plain_read < state.plain.len() {
            return Ok(state.read_plain(buffer));
        }
        if state.end != Some(End::Violated) && state.has_record() {
            match state.process_kept(buffer, false) {
                Ok(0) => {}
                other => return other.map_err(violation),
            }
        }
        loop {
            if let Some(end) = state.end {
                return end.result();
            }
            match state.read_records(&self.socket, buffer)? {
                Read::Filled(0) => {}
                Read::Filled(n) => return Ok(n),
                Read::Drained => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    /// Encrypts and writes what fits now, or `WouldBlock`. What is reported as written may still be on its way to the socket.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if !state.flush(&self.socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.closing || state.end == Some(End::Violated) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let most = if state.slow { WRITE_SLOWLY } else { WRITE };
        let bytes = &bytes[..bytes.len().min(most)];
        if bytes.is_empty() {
            return Ok(0);
        }
        OUTPUT.with_borrow_mut(|output| {
            let n = state.encrypt(bytes, output)?;
            state.send(&self.socket, &output[..n])
        })?;
        Ok(bytes.len())
    }

    /// Ready once the peer was told that nothing more is written, and the socket too.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        state.close();
        std::task::ready!(state.poll_flush(&self.socket, cx))?;
        Poll::Ready(socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write))
    }
}

enum Read {
    /// So many bytes were decrypted into the caller's buffer.
    Filled(usize),
    /// The socket has nothing more, and it was not enough for one byte.
    Drained,
}

impl State {
    fn read_plain(&mut self, buffer: &mut [u8]) -> usize {
        let there = &self.plain[self.plain_read..];
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        self.plain_read += n;
        if self.plain_read == self.plain.len() {
            self.plain = Vec::new();
            self.plain_read = 0;
        }
        n
    }

    fn can_read(&self) -> bool {
        self.plain_read < self.plain.len() || self.end.is_some() || self.has_record()
    }

    /// Whether what is kept begins with a whole record. One that is none shows when it is processed.
    fn has_record(&self) -> bool {
        match self.incoming.first_chunk::<HEAD>() {
            Some(head) => self.incoming.len() >= HEAD + usize::from(u16::from_be_bytes([head[3], head[4]])),
            None => false,
        }
    }

    /// Reads from the socket and decrypts into `buffer`.
    fn read_records(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<Read> {
        INPUT.with_borrow_mut(|input| {
            let kept = self.incoming.len();
            // So much that what is decrypted fits into the buffer of the caller, but never less than a large head.
            let most = (kept + buffer.len().max(4096)).min(input.len());
            if kept >= most {
                return Err(self.broken("a record is too large"));
            }
            input[..kept].copy_from_slice(&self.incoming);
            let n = match read_some(socket, &mut input[kept..most]) {
                Ok(0) => {
                    self.end = Some(End::Cut);
                    return Ok(Read::Filled(0));
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Drained),
                Err(e) => return Err(e),
            };
            let came = &mut input[..kept + n];
            let (used, filled) = self.process(came, buffer, false);
            self.incoming.clear();
            self.incoming.extend_from_slice(&came[used..]);
            if self.incoming.is_empty() {
                self.incoming = Vec::new();
            }
            // What the session has to say, such as a change of keys. The socket may take it later.
            let _ = self.flush(socket);
            match filled {
                Ok(filled) => Ok(Read::Filled(filled)),
                Err(error) => Err(violation(error)),
            }
        })
    }

    fn broken(&mut self, why: &'static str) -> io::Error {
        self.end = Some(End::Violated);
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// As [`Self::process`], with what is kept of the input.
    fn process_kept(&mut self, buffer: &mut [u8], all: bool) -> Result<usize, rustls::Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let (used, filled) = self.process(&mut incoming, buffer, all);
        if used < incoming.len() {
            incoming.drain(..used);
            self.incoming = incoming;
        }
        filled
    }

    /// Decrypts records until `buffer` is full or more input is needed. Returns how much of `input` is used up, and how much
    /// of `buffer` is filled. `all`: goes on with all that there is, whatever fits.
    fn process(
        &mut self,
        input: &mut [u8],
        buffer: &mut [u8],
        all: bool,
    ) -> (usize, Result<usize, rustls::Error>) {
        let room = buffer.len();
        let mut sink = Sink::new(buffer, &mut self.plain);
        let mut at = 0;
        loop {
            let (used, stand) =
                self.session
                    .advance(&mut input[at..], &mut sink, &mut self.unsent, Wish::Take);
            at += used;
            match stand {
                Ok(Stand::More) if self.unsent.len() - self.sent > UNSENT_MAX => {
                    self.end = Some(End::Violated);
                    let why = "the peer makes us answer and does not read".to_owned();
                    return (input.len(), Err(rustls::Error::General(why)));
                }
                Ok(Stand::More) if all || sink.filled() < room || room == 0 => {}
                Ok(Stand::PeerClosed) => self.end = Some(End::Closed),
                Ok(Stand::More | Stand::Open(_) | Stand::Handshaking | Stand::Closed) => {
                    return (at, Ok(sink.filled()));
                }
                Err(error) => {
                    self.end = Some(End::Violated);
                    // What is left to say is an alert that tells why. No more input is looked at: it would be a second
                    // violation, and the session may not answer that.
                    while self.session.state().wants_write() {
                        let mut rest = Vec::new();
                        let mut nothing = Sink::new(&mut [], &mut rest);
                        let _ = self
                            .session
                            .advance(&mut [], &mut nothing, &mut self.unsent, Wish::Take);
                    }
                    return (input.len(), Err(error));
                }
            }
        }
    }

    /// Encrypts into `output`; what the session has to say before goes to what is unsent.
    fn encrypt(&mut self, bytes: &[u8], output: &mut [u8]) -> io::Result<usize> {
        loop {
            let wish = Wish::Encrypt {
                bytes,
                to: &mut *output,
            };
            match self.advance(wish) {
                Ok(Stand::More) => {}
                Ok(Stand::PeerClosed) => self.end = Some(End::Closed),
                Ok(Stand::Open(n)) => return Ok(n),
                Ok(Stand::Handshaking | Stand::Closed) => return Err(io::ErrorKind::NotConnected.into()),
                Err(error) => {
                    self.end = Some(End::Violated);
                    return Err(violation(error));
                }
            }
        }
    }

    /// A step with what is kept of the input.
    fn advance(&mut self, wish: Wish<'_>) -> Result<Stand, rustls::Error> {
        let mut sink = Sink::new(&mut [], &mut self.plain);
        let (used, stand) = self
            .session
            .advance(&mut self.incoming, &mut sink, &mut self.unsent, wish);
        if used > 0 {
            self.incoming.drain(..used);
        }
        stand
    }

    /// Puts a `close_notify` behind what is unsent, once.
    fn close(&mut self) {
        if std::mem::replace(&mut self.closing, true) || self.end == Some(End::Violated) {
            return;
        }
        while let Ok(Stand::More | Stand::PeerClosed) = self.advance(Wish::Close) {}
    }

    /// Writes ciphertext, keeps what the socket does not take.
    fn send(&mut self, socket: &TcpStream, ciphertext: &[u8]) -> io::Result<()> {
        if self.sent < self.unsent.len() {
            self.unsent.extend_from_slice(ciphertext);
            self.slow = !self.flush(socket)?;
            return Ok(());
        }
        let written = match socket.try_write(ciphertext) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e),
        };
        self.slow = written < ciphertext.len();
        if self.slow {
            self.unsent.extend_from_slice(&ciphertext[written..]);
        }
        Ok(())
    }

    /// False where the socket does not take all now.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.sent < self.unsent.len() {
            match socket.try_write(&self.unsent[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => {
                    // It never can be sent. The next write finds the same error.
                    self.unsent = Vec::new();
                    self.sent = 0;
                    return Err(e);
                }
            }
        }
        if self.sent > 0 {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(true)
    }

    fn poll_flush(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.flush(socket)? {
            std::task::ready!(socket.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl End {
    fn result(self) -> io::Result<usize> {
        match self {
            Self::Closed => Ok(0),
            Self::Cut => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended without close_notify",
            )),
            Self::Violated => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn violation(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Reads; where less came than there is room for, the socket is empty, and the next read waits without asking it.
fn read_some(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let n = socket.try_read(buffer)?;
    if 0 < n && n < buffer.len() {
        // Only forgets that it was ready. What comes after the read makes it ready again, and so does an end.
        let _: io::Result<()> = socket.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
    }
    Ok(n)
}
