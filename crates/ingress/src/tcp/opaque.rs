//! A connection that is relayed as it is, to its end or its age's.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rand::RngExt;
use tokio::time::Sleep;

use super::{
    count,
    half::{Half, Moved},
};
use crate::{connections::Connection, io::linger, message::StreamCommand, stream::Stream, worker::Worker};

/// A connection that reached its age ends once it was quiet for so long.
const QUIET: Duration = Duration::from_secs(1);

/// Relays until both sides have ended, one of them broke, or the connection has reached `age`.
pub(super) async fn relay(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    client: Stream,
    node: Stream,
    age: Option<Duration>,
) {
    let mut opaque = Opaque {
        worker,
        connection,
        client,
        node,
        up: Half::default(),
        down: Half::default(),
        age: age.map(|age| Age::new(age, rand::rng().random_range(0.9..1.1), Instant::now())),
    };
    let ended = poll_fn(|cx| opaque.poll(cx)).await;
    let Opaque {
        client,
        node,
        up,
        down,
        ..
    } = opaque;
    up.rest(worker);
    down.rest(worker);
    // Where one side broke, the other is closed at once; else what was written last has to arrive.
    if ended.is_ok() {
        tokio::task::spawn_local(linger(node));
        linger(client).await;
    }
}

struct Opaque<'a> {
    worker: &'a Rc<Worker>,
    connection: &'a Rc<Connection>,
    client: Stream,
    node: Stream,
    up: Half,
    down: Half,
    age: Option<Age>,
}

impl Opaque<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.listen(cx.waker());
        while let Some(command) = self.connection.next_command() {
            if matches!(command, StreamCommand::Close { .. }) {
                return Poll::Ready(Ok(()));
            }
        }
        let mut moved = Moved::default();
        let up = self
            .up
            .poll(&mut self.client, &mut self.node, self.worker, &mut moved, cx);
        let down = self
            .down
            .poll(&mut self.node, &mut self.client, self.worker, &mut moved, cx);
        if moved.bytes > 0 {
            count(self.worker, self.connection, 0, moved.bytes);
        }
        match (up, down) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => match &mut self.age {
                Some(age) => age.poll(moved.bytes > 0, cx).map(Ok),
                None => Poll::Pending,
            },
        }
    }
}

/// When a connection is old enough to end.
struct Age {
    sleep: Pin<Box<Sleep>>,
    /// Set once the age is reached: when it last moved something, and when it ends in any case.
    over: Option<(Instant, Instant)>,
    grace: Duration,
}

impl Age {
    /// `factor` spreads the ends of connections that began together.
    fn new(age: Duration, factor: f64, now: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until((now + age.mul_f64(factor)).into())),
            over: None,
            grace: age / 10,
        }
    }

    /// Ready once it is to end: quiet, or late.
    fn poll(&mut self, moved: bool, cx: &mut Context<'_>) -> Poll<()> {
        if moved && let Some((last, _)) = &mut self.over {
            *last = Instant::now();
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let (last, latest) = *self.over.get_or_insert((now, now + self.grace));
            let end = latest.min(last + QUIET);
            if end <= now {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end.into());
        }
        Poll::Pending
    }
}
