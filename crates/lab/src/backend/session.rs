//! What a backend remembers of each session, and how it gives that away.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::Sequence;

/// A session's state: what travels as the hand-over's opaque body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Drawn when the session began at zero.
    pub epoch: u64,
    /// Work items handled, on whichever node.
    pub count: u64,
    /// Its connections, by `Foreshift-Connection`.
    pub connections: BTreeMap<String, ConnectionState>,
}

/// What is remembered of one connection of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConnectionState {
    /// Numbers of the work items received.
    pub received: Sequence,
    /// Messages sent that nobody asked for.
    pub pushed: u64,
}

impl State {
    fn begin() -> Self {
        Self {
            epoch: rand::rng().random_range(1..1 << 53),
            count: 0,
            connections: BTreeMap::new(),
        }
    }
}

/// Why a session cannot be handed over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HandoffError {
    #[error("`Foreshift-Messages` must be a list of `<connection>=<number>`, separated by commas: {0:?}")]
    Malformed(String),
    #[error("connection {0} has messages to wait for, but is not open here")]
    NotOpen(String),
}

/// The sessions of one backend.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    inner: Mutex<Inner>,
    progress: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<String, State>,
    active: HashMap<String, Activity>,
    /// Given away last time, in case the answer never arrived.
    given: HashMap<String, State>,
    counts: Counts,
}

/// What is going on for one session on this node; not part of its state.
#[derive(Debug, Default)]
struct Activity {
    requests: usize,
    /// The open WebSockets, by connection.
    sockets: BTreeMap<String, Socket>,
}

/// One open WebSocket. A connection that left and came back has another one with another number.
#[derive(Debug)]
struct Socket {
    number: u64,
    /// Messages handled since its handshake here.
    handled: u64,
}

/// What happened to sessions so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub handed_over: u64,
    pub resumed: u64,
    pub disorder: u64,
    pub carts_lost: u64,
}

/// How a WebSocket comes to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// By its client's wish.
    Fresh,
    /// Handed over: its session must have been resumed here.
    Moved,
    /// Its node died, and the session's state with it.
    FromTheDead,
}

/// The counter after a work item, or as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    pub count: u64,
    pub epoch: u64,
}

impl Sessions {
    /// Opens a WebSocket. False where its session should have been resumed here and was not.
    pub(super) fn open(&self, session: &str, connection: &str, number: u64, arrival: Arrival) -> bool {
        let mut inner = self.lock();
        match arrival {
            Arrival::Moved if !inner.states.contains_key(session) => return false,
            // What is here of it is older than what died with its node.
            Arrival::FromTheDead if !inner.active.contains_key(session) => {
                inner.states.remove(session);
            }
            Arrival::Moved | Arrival::FromTheDead | Arrival::Fresh => {}
        }
        inner.states.entry(session.into()).or_insert_with(State::begin);
        let activity = inner.active.entry(session.into()).or_default();
        activity
            .sockets
            .insert(connection.into(), Socket { number, handled: 0 });
        true
    }

    /// Closes a WebSocket; what is remembered of the session stays, as the client may come back.
    pub(super) fn close(&self, session: &str, connection: &str, number: u64) {
        let mut inner = self.lock();
        let Some(activity) = inner.active.get_mut(session) else {
            return;
        };
        if activity
            .sockets
            .get(connection)
            .is_none_or(|s| s.number != number)
        {
            return;
        }
        activity.sockets.remove(connection);
        inner.forget_if_idle(session);
        if let Some(state) = inner.states.get_mut(session) {
            state.connections.remove(connection);
        }
        drop(inner);
        self.progress.notify_waiters();
    }

    /// Counts a message of a WebSocket as handled.
    pub(super) fn handle(&self, session: &str, connection: &str, id: Option<u64>) -> Counter {
        let mut inner = self.lock();
        let state = inner.states.entry(session.into()).or_insert_with(State::begin);
        state.count += 1;
        let counter = Counter {
            count: state.count,
            epoch: state.epoch,
        };
        let received = &mut state.connections.entry(connection.into()).or_default().received;
        let in_order = id.is_none_or(|id| received.see(id));
        inner.counts.disorder += u64::from(!in_order);
        if let Some(socket) = inner
            .active
            .get_mut(session)
            .and_then(|a| a.sockets.get_mut(connection))
        {
            socket.handled += 1;
        }
        drop(inner);
        self.progress.notify_waiters();
        counter
    }

    /// The number of the next message that nobody asked for; `None` while the session is not here.
    pub(super) fn push(&self, session: &str, connection: &str) -> Option<(u64, Counter)> {
        let mut inner = self.lock();
        let state = inner.states.get_mut(session)?;
        let counter = Counter {
            count: state.count,
            epoch: state.epoch,
        };
        let connection = state.connections.entry(connection.into()).or_default();
        connection.pushed += 1;
        Some((connection.pushed, counter))
    }

    /// Begins an HTTP request of a session.
    pub(super) fn begin_request(&self, session: &str) {
        self.lock().active.entry(session.into()).or_default().requests += 1;
    }

    /// Ends it, done or given up.
    pub(super) fn end_request(&self, session: &str) {
        let mut inner = self.lock();
        if let Some(activity) = inner.active.get_mut(session) {
            activity.requests -= 1;
            inner.forget_if_idle(session);
        }
        drop(inner);
        self.progress.notify_waiters();
    }

    /// Counts a work item that came as an HTTP request.
    pub(super) fn count(&self, session: &str) -> Counter {
        let mut inner = self.lock();
        let state = inner.states.entry(session.into()).or_insert_with(State::begin);
        state.count += 1;
        Counter {
            count: state.count,
            epoch: state.epoch,
        }
    }

    /// The counter as it is.
    pub(super) fn counter(&self, session: &str) -> Counter {
        let mut inner = self.lock();
        let state = inner.states.entry(session.into()).or_insert_with(State::begin);
        Counter {
            count: state.count,
            epoch: state.epoch,
        }
    }

    /// A session goes on with a state that was kept elsewhere; `None`: it begins.
    pub(super) fn adopt(&self, session: &str, state: Option<State>) {
        let mut inner = self.lock();
        inner.counts.resumed += u64::from(state.is_some());
        let state = state.unwrap_or_else(State::begin);
        inner.states.insert(session.into(), state);
    }

    /// A session's state as it is.
    pub(super) fn state(&self, session: &str) -> State {
        let mut inner = self.lock();
        inner
            .states
            .entry(session.into())
            .or_insert_with(State::begin)
            .clone()
    }

    /// A session came with less in its cart than was put into it.
    pub(super) fn miss_cart(&self) {
        self.lock().counts.carts_lost += 1;
    }

    /// Waits until all that was sent is handled, then gives the session's state away and forgets it.
    pub(super) async fn hand_over(&self, session: &str, messages: &str) -> Result<State, HandoffError> {
        let messages = parse_messages(messages)?;
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if let Some(state) = self.lock().take_when_handled(session, &messages)? {
                return Ok(state);
            }
            progress.await;
        }
    }

    /// Takes a session's state in, in place of what there may be. Unless a hand-over was aborted, sockets that
    /// are still open are leftovers of an earlier stay, and closing them is no concern of the session's.
    pub(super) fn resume(&self, session: &str, state: State, aborted: bool) {
        let mut inner = self.lock();
        inner.counts.resumed += 1;
        if !aborted && let Some(activity) = inner.active.get_mut(session) {
            activity.sockets.clear();
            inner.forget_if_idle(session);
        }
        inner.given.remove(session);
        inner.states.insert(session.into(), state);
    }

    /// A hand-over was aborted before anybody saw the state: what was given away, if anything, is kept.
    pub(super) fn keep(&self, session: &str) {
        let mut inner = self.lock();
        let Some(state) = inner.given.remove(session) else {
            return;
        };
        if !inner.states.contains_key(session) {
            inner.counts.resumed += 1;
            inner.states.insert(session.into(), state);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().states.len()
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Inner {
    fn forget_if_idle(&mut self, session: &str) {
        if self
            .active
            .get(session)
            .is_some_and(|a| a.requests == 0 && a.sockets.is_empty())
        {
            self.active.remove(session);
        }
    }

    fn take_when_handled(
        &mut self,
        session: &str,
        messages: &[(String, u64)],
    ) -> Result<Option<State>, HandoffError> {
        let activity = self.active.get(session);
        if activity.is_some_and(|a| a.requests > 0) {
            return Ok(None);
        }
        for (connection, sent) in messages.iter().filter(|(_, sent)| *sent > 0) {
            match activity.and_then(|a| a.sockets.get(connection)) {
                None => return Err(HandoffError::NotOpen(connection.clone())),
                Some(socket) if socket.handled < *sent => return Ok(None),
                Some(_) => {}
            }
        }
        self.counts.handed_over += 1;
        let state = self.states.remove(session).unwrap_or_else(State::begin);
        self.given.insert(session.into(), state.clone());
        Ok(Some(state))
    }
}

fn parse_messages(text: &str) -> Result<Vec<(String, u64)>, HandoffError> {
    let element = |element: &str| {
        let (connection, sent) = element.split_once('=')?;
        Some((connection.trim().to_owned(), sent.trim().parse().ok()?))
    };
    text.split(',')
        .map(str::trim)
        .filter(|e| !e.is_empty())
        .map(|e| element(e).ok_or_else(|| HandoffError::Malformed(text.chars().take(200).collect())))
        .collect()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_hand_over_waits_for_every_message_that_was_sent() {
        let sessions = Sessions::default();
        assert!(sessions.open("s", "1", 1, Arrival::Fresh));
        sessions.handle("s", "1", Some(1));
        let hand_over = sessions.hand_over("s", "1=2");
        tokio::pin!(hand_over);
        assert!((&mut hand_over).now_or_never().is_none());
        sessions.handle("s", "1", Some(2));
        let state = hand_over.await.unwrap();
        assert_eq!((state.count, sessions.len()), (2, 0));
    }

    #[tokio::test]
    async fn a_resumed_session_counts_on() {
        let (old, new) = (Sessions::default(), Sessions::default());
        old.open("s", "1", 1, Arrival::Fresh);
        let before = old.handle("s", "1", Some(1));
        assert!(!new.open("s", "1", 1, Arrival::Moved));
        new.resume("s", old.hand_over("s", "1=1").await.unwrap(), false);
        assert!(new.open("s", "1", 1, Arrival::Moved));
        let after = new.handle("s", "1", Some(2));
        assert_eq!((after.epoch, after.count), (before.epoch, 2));
        assert_eq!(new.counts().disorder, 0);
    }

    #[tokio::test]
    async fn a_state_that_never_arrived_is_kept() {
        let sessions = Sessions::default();
        sessions.open("s", "1", 1, Arrival::Fresh);
        let before = sessions.handle("s", "1", Some(1));
        drop(sessions.hand_over("s", "1=1").await.unwrap());
        sessions.keep("s");
        let after = sessions.handle("s", "1", Some(2));
        assert_eq!((after.epoch, after.count), (before.epoch, 2));
    }

    #[tokio::test]
    async fn a_session_that_comes_back_outlives_the_socket_it_left_behind() {
        let sessions = Sessions::default();
        sessions.open("s", "1", 1, Arrival::Fresh);
        sessions.handle("s", "1", Some(1));
        let state = sessions.hand_over("s", "1=1").await.unwrap();
        sessions.resume("s", state, false);
        sessions.close("s", "1", 1);
        assert!(sessions.open("s", "1", 2, Arrival::Moved));
        sessions.close("s", "1", 1);
        assert_eq!(sessions.handle("s", "1", Some(2)).count, 2);
        assert_eq!(sessions.counts().disorder, 0);
    }

    #[tokio::test]
    async fn a_hand_over_that_cannot_be_right_is_refused() {
        let sessions = Sessions::default();
        for (messages, error) in [
            ("1=2", HandoffError::NotOpen("1".into())),
            ("1", HandoffError::Malformed("1".into())),
            ("1=x", HandoffError::Malformed("1=x".into())),
        ] {
            assert_eq!(sessions.hand_over("s", messages).await, Err(error), "{messages}");
        }
        assert_eq!(sessions.hand_over("s", "1=0, 2=0").await.unwrap().count, 0);
    }
}
