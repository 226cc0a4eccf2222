//! One WebSocket of a backend: messages in, answers out, in order.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use foreshift_wire::Epoch;

use super::{Fault, Shared, Step, fault::Spoiler, session::Counter};
use crate::{
    Answer, Work,
    message::{decode, encode},
};

/// What a handshake asked for.
#[derive(Debug)]
pub(super) struct Opening {
    pub session: String,
    pub connection: String,
    /// Since when this node serves the session, where it is told.
    pub reign: Epoch,
    /// Tells two sockets of the same connection apart.
    pub number: u64,
    /// Send a message of the backend's own accord this often.
    pub push_every: Option<Duration>,
}

/// Small buffers: a backend may hold ten thousand sockets, nearly all of them idle.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(64 << 20))
}

/// Serves a WebSocket until either side closes it.
pub(super) async fn serve(shared: Arc<Shared>, opening: Opening, stream: Upgraded, spoiler: Spoiler) {
    let stream = TokioIo::new(stream);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
    let closes = CloseOnDrop {
        shared: &shared,
        opening: &opening,
    };
    let mut connection = Connection {
        shared: &shared,
        opening: &opening,
        socket,
        spoiler,
    };
    if let Err(error) = connection.run().await {
        tracing::debug!(session = opening.session, %error, "websocket ended");
    }
    drop(closes);
}

/// Takes the connection off the books also when its task is cut off.
struct CloseOnDrop<'a> {
    shared: &'a Shared,
    opening: &'a Opening,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let Opening {
            session,
            connection,
            number,
            ..
        } = self.opening;
        self.shared.sessions.close(session, connection, *number);
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    opening: &'a Opening,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    spoiler: Spoiler,
}

impl Connection<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut pushes = self.opening.push_every.map(|every| {
            let mut interval = tokio::time::interval(every.max(Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        });
        loop {
            let message = tokio::select! {
                message = self.socket.next() => message,
                () = tick(&mut pushes) => {
                    self.push().await?;
                    continue;
                }
            };
            match message {
                None => return Ok(()),
                Some(message) => match message? {
                    Message::Text(text) => self.work(text.as_bytes(), true).await?,
                    Message::Binary(bytes) => self.work(&bytes, false).await?,
                    // The protocol has queued the answer to a close; it only has to leave.
                    Message::Close(_) => return self.socket.flush().await,
                    // Pings are answered by the protocol, after the messages before them.
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                },
            }
        }
    }

    async fn work(&mut self, message: &[u8], is_text: bool) -> Result<(), Error> {
        self.fail_if_asked().await?;
        self.shared.workers.work().await;
        // What is not one of our messages is work all the same, and comes back whole.
        let (id, payload) = match decode::<Work>(message) {
            Some((work, payload)) => (Some(work.id), payload),
            None => (None, message),
        };
        let Opening {
            session,
            connection,
            reign,
            ..
        } = self.opening;
        let count = self
            .shared
            .count(session, *reign, |s| s.handle(session, connection, id));
        let counter = count.await.map_err(|error| {
            tracing::warn!(%error, "a message is not answered, as it is not stored");
            Error::ConnectionClosed
        })?;
        let answer = self.answer(id, None, counter);
        self.send(encode(&answer, payload), is_text).await
    }

    async fn push(&mut self) -> Result<(), Error> {
        let next = self
            .shared
            .sessions
            .push(&self.opening.session, &self.opening.connection);
        let Some((number, counter)) = next else {
            return Ok(());
        };
        let answer = self.answer(None, Some(number), counter);
        self.send(encode(&answer, &[]), true).await
    }

    fn answer(&self, id: Option<u64>, push: Option<u64>, counter: Counter) -> Answer {
        let Counter { count, epoch } = counter;
        Answer {
            id,
            push,
            count,
            epoch,
            node: self.shared.name.clone(),
        }
    }

    async fn send(&mut self, message: Vec<u8>, is_text: bool) -> Result<(), Error> {
        let bytes = Bytes::from(message);
        let message = match bytes.clone().try_into() {
            Ok(text) if is_text => Message::Text(text),
            _ => Message::Binary(bytes),
        };
        self.socket.send(message).await
    }

    async fn fail_if_asked(&mut self) -> Result<(), Error> {
        match self.shared.faults.at(Step::Message) {
            None => {}
            Some(Fault::Refuse) => {
                let frame = CloseFrame {
                    code: CloseCode::Error,
                    reason: "asked to fail".into(),
                };
                self.socket.close(Some(frame)).await?;
                return Err(Error::ConnectionClosed);
            }
            Some(Fault::Garbage) => self.spoiler.garble(),
            Some(Fault::Reset) => self.spoiler.reset(),
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Die) => match self.shared.die().await {},
        }
        Ok(())
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => _ = interval.tick().await,
        None => std::future::pending().await,
    }
}
