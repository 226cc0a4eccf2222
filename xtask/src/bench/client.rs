//! One client connection: sends, waits for the whole answer, checks it, sends again.
//!
//! A closed loop, since it is to find out what a request costs at saturation. Its latencies are those of a
//! saturated proxy and say little about a proxy with room.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::{
    backend::BULK,
    http,
    scenario::{MIB, Scenario},
    stream::{Got, Stream},
    websocket,
};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Where a connection stands.
enum State {
    /// Waiting for the 101.
    Upgrading,
    /// Waiting for a response's head.
    Head,
    /// So many bytes of the body are to come.
    Body(usize),
    /// Waiting for the echo.
    Echo,
    /// Waiting for 64 bytes.
    Pong,
    /// So many bytes came since the last whole MiB.
    Bulk(usize),
    /// Nothing is under way.
    Idle,
}

/// One client connection.
pub(super) struct Client {
    pub(super) stream: Stream,
    scenario: Scenario,
    state: State,
    request: Vec<u8>,
    sent_at: Instant,
    /// Messages sent, so that each one differs.
    sequence: u64,
    partial: Vec<u8>,
    message: Vec<u8>,
}

impl Client {
    pub(super) fn new(stream: Stream, scenario: Scenario, host: &str, number: usize) -> Result<Self> {
        let upgrade = if scenario.is_websocket() {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            ""
        };
        let path = scenario.path();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-User: u{number}\r\nAccept: */*\r\n{upgrade}\r\n"
        );
        Ok(Self {
            stream,
            scenario,
            state: State::Idle,
            request: request.into_bytes(),
            sent_at: Instant::now(),
            sequence: 0,
            partial: Vec::new(),
            message: Vec::new(),
        })
    }

    /// Sends the first request or the handshake.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.scenario.is_tcp() {
            return self.again();
        }
        self.sent_at = Instant::now();
        self.state = if self.scenario.is_websocket() {
            State::Upgrading
        } else {
            State::Head
        };
        Ok(self.stream.send(&self.request)?)
    }

    /// Sends the next request or message.
    pub(super) fn again(&mut self) -> Result<()> {
        self.sent_at = Instant::now();
        match self.scenario {
            Scenario::Tcp64 => {
                self.state = State::Pong;
                self.sequence += 1;
                return Ok(self.stream.send(&message(self.sequence))?);
            }
            Scenario::TcpBulk if matches!(self.state, State::Bulk(_)) => return Ok(()),
            Scenario::TcpBulk => {
                self.state = State::Bulk(0);
                return Ok(self.stream.send(&[BULK])?);
            }
            _ => {}
        }
        if !self.scenario.is_websocket() {
            self.state = State::Head;
            return Ok(self.stream.send(&self.request)?);
        }
        self.state = State::Echo;
        self.sequence += 1;
        self.request.clear();
        websocket::put_frame(&mut self.request, &message(self.sequence), Some(MASK));
        Ok(self.stream.send(&self.request)?)
    }

    /// Input or room for output; the time at which the request was sent whose answer came whole, if one did.
    pub(super) fn ready(&mut self, buffer: &mut [u8]) -> Result<Option<Instant>> {
        self.stream.flush()?;
        let mut answered = None;
        loop {
            let (n, last) = match self.stream.read(buffer)? {
                Got::More(n) => (n, false),
                Got::Last(n) => (n, true),
                Got::End => bail!("the connection was closed on the client"),
            };
            if self.input(&buffer[..n])? {
                answered = Some(self.sent_at);
            }
            if last {
                return Ok(answered);
            }
        }
    }

    /// True where it completed an answer.
    fn input(&mut self, bytes: &[u8]) -> Result<bool> {
        if let State::Body(left) = self.state {
            return self.body(left, bytes.len());
        }
        if bytes.is_empty() {
            return Ok(false);
        }
        if let State::Bulk(so_far) = &mut self.state {
            *so_far += bytes.len();
            let whole = *so_far >= MIB;
            *so_far -= if whole { MIB } else { 0 };
            return Ok(whole);
        }
        self.partial.extend_from_slice(bytes);
        match self.state {
            State::Upgrading => self.upgraded(),
            State::Head => self.head(),
            State::Echo => self.echo(),
            State::Pong => self.pong(),
            State::Idle | State::Body(_) | State::Bulk(_) => bail!("{} bytes came unasked", bytes.len()),
        }
    }

    fn upgraded(&mut self) -> Result<bool> {
        let Some(length) = http::head_length(&self.partial) else {
            return Ok(false);
        };
        let head = String::from_utf8_lossy(&self.partial);
        ensure!(
            http::status(&self.partial) == Some(101),
            "the handshake was answered {head:?}"
        );
        ensure!(
            self.partial.len() == length,
            "bytes behind the handshake: {head:?}"
        );
        self.partial.clear();
        self.again()?;
        Ok(false)
    }

    fn head(&mut self) -> Result<bool> {
        let Some(length) = http::head_length(&self.partial) else {
            return Ok(false);
        };
        let head = &self.partial[..length];
        if http::status(head) != Some(200) {
            bail!("a request was answered {:?}", String::from_utf8_lossy(head));
        }
        let body = http::content_length(head).context("an answer has no Content-Length")?;
        ensure!(body == self.scenario.answer_bytes(), "an answer has {body} bytes");
        let here = self.partial.len() - length;
        self.partial.clear();
        self.body(body, here)
    }

    fn body(&mut self, left: usize, here: usize) -> Result<bool> {
        let left = left
            .checked_sub(here)
            .context("an answer is longer than it said")?;
        self.state = if left == 0 { State::Idle } else { State::Body(left) };
        Ok(left == 0)
    }

    fn pong(&mut self) -> Result<bool> {
        let expected = message(self.sequence);
        ensure!(
            expected.starts_with(&self.partial),
            "message {} came back changed",
            self.sequence
        );
        let whole = self.partial.len() == expected.len();
        if whole {
            self.partial.clear();
            self.state = State::Idle;
        }
        Ok(whole)
    }

    fn echo(&mut self) -> Result<bool> {
        self.message.clear();
        let taken = websocket::take_frame(&self.partial, &mut self.message);
        let Some(length) = taken.map_err(|frame| anyhow::anyhow!("the client was sent {frame:?}"))? else {
            return Ok(false);
        };
        ensure!(
            self.message == message(self.sequence),
            "message {} came back changed",
            self.sequence
        );
        ensure!(length == self.partial.len(), "bytes behind the echo");
        self.partial.clear();
        self.state = State::Idle;
        Ok(true)
    }
}

fn message(sequence: u64) -> [u8; 64] {
    let mut message = [b'.'; 64];
    message[..8].copy_from_slice(&sequence.to_be_bytes());
    message
}
