//! One TLS session without any input or output of its own: bytes in, bytes out.

use rustls::{
    CommonState, Error,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus},
};

/// A session of either side.
pub(super) enum Session {
    /// We are the client, of a node.
    Client(Box<UnbufferedClientConnection>),
    /// We are the server, of a client.
    Server(Box<UnbufferedServerConnection>),
}

/// Where decrypted bytes go: what the caller's buffer does not take is kept in `rest`.
pub(super) struct Sink<'a> {
    buffer: &'a mut [u8],
    filled: usize,
    rest: &'a mut Vec<u8>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(buffer: &'a mut [u8], rest: &'a mut Vec<u8>) -> Self {
        Self {
            buffer,
            filled: 0,
            rest,
        }
    }

    /// Bytes of the caller's buffer that are used.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.buffer.len() - self.filled;
        let (now, later) = bytes.split_at(bytes.len().min(room));
        self.buffer[self.filled..self.filled + now.len()].copy_from_slice(now);
        self.filled += now.len();
        self.rest.extend_from_slice(later);
    }
}

/// What is wanted of a session, besides taking what came.
pub(super) enum Wish<'a> {
    /// Nothing.
    Take,
    /// `bytes` encrypted into `to`, which has room for them.
    Encrypt { bytes: &'a [u8], to: &'a mut [u8] },
    /// A `close_notify`.
    Close,
}

/// How far a session got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// There may be more to do with the input that is left.
    More,
    /// Nothing more can be done without more input: the handshake is under way.
    Handshaking,
    /// As before, after the handshake. So many bytes were encrypted.
    Open(usize),
    /// The other side said that it sends nothing more.
    PeerClosed,
    /// Both sides have said so.
    Closed,
}

impl Session {
    /// Takes a step with what came. Returns how many bytes of `input` are used up; they must not be given again, and those
    /// behind them must. `out`: ciphertext to be sent is put behind what is there.
    pub(super) fn advance(
        &mut self,
        input: &mut [u8],
        sink: &mut Sink<'_>,
        out: &mut Vec<u8>,
        wish: Wish<'_>,
    ) -> (usize, Result<Stand, Error>) {
        match self {
            Self::Client(session) => step(session.process_tls_records(input), sink, out, wish),
            Self::Server(session) => step(session.process_tls_records(input), sink, out, wish),
        }
    }

    /// What was negotiated.
    pub(super) fn state(&self) -> &CommonState {
        match self {
            Self::Client(session) => session,
            Self::Server(session) => session,
        }
    }
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    sink: &mut Sink<'_>,
    out: &mut Vec<u8>,
    wish: Wish<'_>,
) -> (usize, Result<Stand, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let stand = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut read = || {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    sink.take(record.payload);
                }
                Ok(Stand::More)
            };
            read()
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out).map(|()| Stand::More),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in `out`, which is sent before anything that comes later.
            data.done();
            Ok(Stand::More)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match wish {
            Wish::Take => Ok(Stand::Open(0)),
            Wish::Encrypt { bytes, to } => traffic.encrypt(bytes, to).map(Stand::Open).map_err(exhausted),
            Wish::Close => put(out, |room| match traffic.queue_close_notify(room) {
                Err(EncryptError::InsufficientSize(needed)) => Err(Some(needed.required_size)),
                Err(EncryptError::EncryptExhausted) => Err(None),
                Ok(n) => Ok(n),
            })
            .map(|()| Stand::Open(0)),
        },
        Ok(ConnectionState::PeerClosed) => Ok(Stand::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Stand::Closed),
        Ok(ConnectionState::BlockedHandshake) => Ok(Stand::Handshaking),
        // Early data is never offered and never accepted.
        Ok(_) => Err(Error::General("an unexpected state of the session".into())),
    };
    (discard, stand)
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    put(out, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(needed)) => Err(Some(needed.required_size)),
        Err(EncodeError::AlreadyEncoded) => Ok(0),
        Ok(n) => Ok(n),
    })
}

/// Lets `write` put its bytes behind what is in `out`. It is asked with no room first, and says how much it needs.
fn put(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let start = out.len();
    let mut written = write(&mut []);
    if let Err(Some(needed)) = written {
        out.resize(start + needed, 0);
        written = write(&mut out[start..]);
    }
    let n = written.map_err(|_| Error::EncryptError)?;
    out.truncate(start + n);
    Ok(())
}

fn exhausted(_: EncryptError) -> Error {
    // `to` has room, so the keys are used up.
    Error::EncryptError
}
