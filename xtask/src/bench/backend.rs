//! The backend: answers GET with a body of the size asked for, and echoes WebSocket messages.

use std::{io, net::TcpStream};

use anyhow::{Context, Result, bail};

use super::{
    http,
    scenario::Scenario,
    stream::{Got, Stream},
    websocket,
};

/// What a client says first that wants to be sent all that there is room for.
pub(super) const BULK: u8 = b'B';

/// Answers that never change, made once.
pub(super) struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
    bulk: Vec<u8>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            small: answer(Scenario::Http64.answer_bytes()),
            large: answer(Scenario::Http64K.answer_bytes()),
            bulk: vec![b'x'; 256 * 1024],
        }
    }
}

fn answer(body_bytes: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + body_bytes, b'x');
    answer
}

/// One connection from a proxy.
pub(super) struct Backend {
    pub(super) stream: Stream,
    is_websocket: bool,
    is_bulk: bool,
    /// Input that is no whole request or frame yet.
    partial: Vec<u8>,
    message: Vec<u8>,
    frame: Vec<u8>,
}

impl Backend {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        Ok(Self {
            stream: Stream::new(socket)?,
            is_websocket: false,
            is_bulk: false,
            partial: Vec::new(),
            message: Vec::new(),
            frame: Vec::new(),
        })
    }

    /// Input or room for output; false at the end of the connection.
    pub(super) fn ready(&mut self, answers: &Answers, buffer: &mut [u8]) -> Result<bool> {
        self.stream.flush()?;
        self.pour(answers)?;
        loop {
            let (n, last) = match self.stream.read(buffer)? {
                Got::More(n) => (n, false),
                Got::Last(n) => (n, true),
                Got::End => return Ok(false),
            };
            self.input(answers, &buffer[..n])?;
            self.pour(answers)?;
            if last {
                return Ok(true);
            }
        }
    }

    /// Sends all that there is room for, where that is wanted.
    fn pour(&mut self, answers: &Answers) -> Result<()> {
        while self.is_bulk && self.stream.offer(&answers.bulk)? == answers.bulk.len() {}
        Ok(())
    }

    fn input(&mut self, answers: &Answers, bytes: &[u8]) -> Result<()> {
        if self.partial.is_empty() {
            let used = self.serve(answers, bytes)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let used = self.serve(answers, &all)?;
        all.drain(..used);
        self.partial = all;
        Ok(())
    }

    /// Serves all that is whole; the number of bytes it made up.
    fn serve(&mut self, answers: &Answers, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let served = if self.is_websocket {
                self.echo(rest)?
            } else {
                self.answer(answers, rest)?
            };
            match served {
                Some(n) => used += n,
                None => return Ok(used),
            }
        }
    }

    fn answer(&mut self, answers: &Answers, bytes: &[u8]) -> Result<Option<usize>> {
        match bytes.first() {
            Some(&BULK) => {
                self.is_bulk = true;
                return Ok(Some(1));
            }
            // A ping's number: there are never so many that its first byte is another.
            Some(0) => {
                self.stream.send(bytes)?;
                return Ok(Some(bytes.len()));
            }
            _ => {}
        }
        let Some(length) = http::head_length(bytes) else {
            return Ok(None);
        };
        let head = &bytes[..length];
        if head.starts_with(b"GET /64 ") {
            self.stream.send(&answers.small)?;
        } else if head.starts_with(b"GET /65536 ") {
            self.stream.send(&answers.large)?;
        } else if head.starts_with(b"GET /ws ") {
            self.upgrade(head)?;
        } else {
            bail!("the backend was asked for {:?}", String::from_utf8_lossy(head));
        }
        Ok(Some(length))
    }

    fn upgrade(&mut self, head: &[u8]) -> Result<()> {
        let key =
            http::field(head, "sec-websocket-key").context("the handshake that the proxy sent has no key")?;
        let accept = websocket::accept(key);
        self.is_websocket = true;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        Ok(self.stream.send(answer.as_bytes())?)
    }

    fn echo(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        self.message.clear();
        let taken = websocket::take_frame(bytes, &mut self.message);
        let Some(length) = taken.map_err(|frame| anyhow::anyhow!("the backend was sent {frame:?}"))? else {
            return Ok(None);
        };
        self.frame.clear();
        websocket::put_frame(&mut self.frame, &self.message, None);
        self.stream.send(&self.frame)?;
        Ok(Some(length))
    }
}
