//! One connection: reads requests, has them carried out one after the other, and writes the answers.
//!
//! Memory is bounded from both sides. Answers are written in pieces, and the next piece is made when the last one is gone; while a
//! client does not take them, so much of its next commands is read ahead, and no more. (Not to read at all would be simpler, but
//! clients that send a whole pipeline before they read the first answer would then wait for us, and we for them.)

use std::io;

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Limits,
    client::Client,
    command::Command,
    perform::State,
    reply::{Pieces, Reply},
    request::{Malformed, Request, RequestLimits, Requests},
};

/// Answers are sent when they are so many bytes.
const ENOUGH: usize = 64 * 1024;
/// Room for what is read next.
const READ: usize = 16 * 1024;

/// A connection and what was read of it.
pub(super) struct Connection<'a, S> {
    pub(super) state: &'a State,
    pub(super) limits: &'a Limits,
    pub(super) client: Client,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    requests: Requests,
    input: BytesMut,
    output: BytesMut,
    /// The client sends no more.
    is_over: bool,
    /// The buffers grew.
    was_large: bool,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the client left, or the view ends")]
    Left,
    #[error("the client sent what is no request")]
    Malformed,
    #[error("the client let a limit of time pass")]
    Late,
    #[error("the transport failed: {0}")]
    Broken(#[from] io::Error),
}

impl<'a, S: AsyncRead + AsyncWrite> Connection<'a, S> {
    pub(super) fn new(stream: S, client: Client, state: &'a State, limits: &'a Limits) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            state,
            limits,
            client,
            reader,
            writer,
            requests: Requests::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            is_over: false,
            was_large: false,
        }
    }

    /// Serves it until it ends. A command that was begun is carried out and answered when `stop` turns true.
    pub(super) async fn serve(mut self, mut stop: watch::Receiver<bool>) -> End {
        let end = match self.answer_all(&mut stop).await {
            Ok(never) => never,
            Err(end) => end,
        };
        // What was answered before is sent, unless it is that which did not get through.
        let may_listen = matches!(end, End::Left | End::Malformed);
        if may_listen && self.flush().await.is_ok() {
            let _ = self.writer.shutdown().await;
        }
        end
    }

    async fn answer_all(&mut self, stop: &mut watch::Receiver<bool>) -> Result<End, End> {
        let begun = Instant::now();
        let mut last = begun;
        loop {
            // Others have their turn, however much this client sends at once.
            tokio::task::coop::consume_budget().await;
            let limits = match self.client.caller() {
                Some(_) => self.limits.request,
                None => RequestLimits::STRANGER,
            };
            match self.requests.next(&mut self.input, &limits) {
                Ok(Some(request)) => {
                    last = Instant::now();
                    self.was_large |= request.bytes() > ENOUGH;
                    self.answer(request).await?;
                }
                Ok(None) if self.is_over || *stop.borrow() => return Ok(End::Left),
                Ok(None) => {
                    self.flush().await?;
                    self.let_go();
                    let until = self.waits_until(begun, last);
                    self.read(until, stop).await?;
                }
                Err(malformed) => return Err(self.refuse(&malformed).await),
            }
        }
    }

    /// Who sent or got much once does not keep the room for it as long as it is connected.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.was_large) {
            // What came of the next command is copied; the rest goes with the buffer.
            self.input = BytesMut::from(&*self.input);
            self.output = BytesMut::new();
        }
    }

    /// When the next bytes must have come.
    fn waits_until(&self, begun: Instant, last: Instant) -> Instant {
        let is_inside = self.requests.is_inside() || !self.input.is_empty();
        match self.client.caller() {
            None => begun + self.limits.greeting,
            Some(_) if is_inside => last + self.limits.progress,
            Some(_) => last + self.limits.idle,
        }
    }

    async fn read(&mut self, until: Instant, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        self.input.reserve(READ);
        tokio::select! {
            read = timeout_at(until, self.reader.read_buf(&mut self.input)) => {
                self.is_over = read.map_err(|_| End::Late)?? == 0;
                Ok(())
            }
            _ = stop.wait_for(|stop| *stop) => Err(End::Left),
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), End> {
        let reply = match request {
            Request::Command(words) if is_http(&words[0]) => {
                // A page that was made to send a browser's request here must not reach a command in its body.
                tracing::warn!("somebody speaks HTTP to the Redis view; the connection is closed");
                return Err(End::Malformed);
            }
            Request::Command(words) => match Command::parse(words) {
                Ok(command) => self.carry_out(command).await,
                Err(_) if self.client.caller().is_none() => Reply::error("NOAUTH Authentication required."),
                Err(text) => Reply::Error(text),
            },
            Request::TooLarge { bytes, limit } => Reply::error(format!(
                "TOOLARGE the command has {bytes} bytes where {limit} is the limit; nothing was written"
            )),
        };
        let mut pieces = Pieces::of(reply, self.client.protocol());
        while !pieces.write(&mut self.output, ENOUGH) {
            self.flush().await?;
        }
        self.was_large |= self.output.capacity() > 2 * ENOUGH;
        match self.client.is_leaving() {
            true => Err(End::Left),
            false => Ok(()),
        }
    }

    async fn carry_out(&mut self, command: Command) -> Reply {
        match (&command, self.client.caller()) {
            (Command::Connection(..), _) | (_, None) => self.client.answer(&command),
            (_, Some(caller)) => self.state.perform(caller, command).await,
        }
    }

    async fn refuse(&mut self, malformed: &Malformed) -> End {
        let reply = Reply::error(format!("ERR {malformed}"));
        Pieces::of(reply, self.client.protocol()).write(&mut self.output, usize::MAX);
        End::Malformed
    }

    /// Sends all that is to be sent, and reads ahead as long as that takes.
    async fn flush(&mut self) -> Result<(), End> {
        let until = Instant::now() + self.limits.progress;
        while !self.output.is_empty() {
            let may_read = !self.is_over && self.input.len() < self.limits.ahead_bytes;
            if may_read {
                self.input.reserve(READ);
            }
            tokio::select! {
                biased;
                written = timeout_at(until, self.writer.write_buf(&mut self.output)) => {
                    if written.map_err(|_| End::Late)?? == 0 {
                        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                    }
                }
                read = self.reader.read_buf(&mut self.input), if may_read => self.is_over = read? == 0,
            }
        }
        self.writer.flush().await?;
        Ok(())
    }
}

/// Words that begin lines of HTTP requests and no command.
fn is_http(name: &[u8]) -> bool {
    [&b"post"[..], b"host:"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word))
}
