//! A non-blocking socket with what it could not send yet.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// One end of a connection, registered edge-triggered: read until short, write until it would block.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    unsent: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
}

/// What a read brought.
pub(super) enum Got {
    /// So many bytes, and perhaps more to come.
    More(usize),
    /// So many bytes, and the socket is empty.
    Last(usize),
    /// The other end closed.
    End,
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            unsent: Vec::new(),
            tls: None,
        })
    }

    /// A stream under TLS, after the handshake, which waits for the other side.
    pub(super) fn shake_hands(mut socket: TcpStream, config: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let name = ServerName::try_from(super::tls::NAME)?;
        let mut session = ClientConnection::new(config.clone(), name)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let mut stream = Self::new(socket)?;
        stream.tls = Some(Box::new(session));
        Ok(stream)
    }

    fn read_tls(&mut self, into: &mut [u8]) -> io::Result<Got> {
        let Self {
            socket,
            tls: Some(tls),
            ..
        } = self
        else {
            return Ok(Got::End);
        };
        loop {
            match tls.reader().read(into) {
                Ok(0) => return Ok(Got::End),
                Ok(n) => return Ok(Got::More(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match tls.read_tls(socket) {
                Ok(0) => return Ok(Got::End),
                Ok(_) => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Last(0)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn flush_tls(&mut self) -> io::Result<()> {
        let Self {
            socket,
            tls: Some(tls),
            ..
        } = self
        else {
            return Ok(());
        };
        while tls.wants_write() {
            match tls.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Got> {
        if self.tls.is_some() {
            return self.read_tls(into);
        }
        loop {
            return match self.socket.read(into) {
                Ok(0) => Ok(Got::End),
                Ok(n) if n == into.len() => Ok(Got::More(n)),
                Ok(n) => Ok(Got::Last(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Last(0)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Sends what the socket takes and keeps the rest for [`Stream::flush`].
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes)?;
            return self.flush_tls();
        }
        let sent = if self.unsent.is_empty() {
            self.write(bytes)?
        } else {
            0
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what the socket takes, and keeps nothing. Returns how much that was.
    pub(super) fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// The socket may take more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.tls.is_some() {
            return self.flush_tls();
        }
        if self.unsent.is_empty() {
            return Ok(());
        }
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.write(&unsent)?;
        self.unsent = unsent;
        self.unsent.drain(..sent);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
