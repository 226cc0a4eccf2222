//! Sessions' state in Foreshift's store: written before an answer leaves, so that it outlives this node.
//!
//! What other nodes wrote comes as replays (`PUT /state/{session}/{partition}`), which are kept as copies. Where a reign over a session
//! begins, its copy is held against the store: that answers 304 where the copy is of today, and the value where it is not.
//! One item of a session is written after the other; a node that lost the session is told so by the store and drops what it has.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use foreshift_wire::{
    Epoch, PartitionName,
    entries::{Item, Replica},
};
use http_body_util::Full;
use hyper::{Request, Response};
use serde::Deserialize;
use tokio::sync::OwnedMutexGuard;

use super::session::State;
use crate::HttpClient;

/// The partition with the counter, and its key.
const GAME: (&str, &str) = ("game", "state");
/// The partition with the cart: an item for each [`ITEM_EVERY`] work items.
const CART: &str = "cart";
/// What no node needs to go on: who the user is, in 4 KiB. It stays where it is when the session moves.
const PROFILE: (&str, &str) = ("profile", "page");
const PROFILE_BYTES: usize = 4096;
/// Work items for which something is put into the cart.
const ITEM_EVERY: u64 = 8;
/// Connections to the store that are kept for later.
const IDLE_MAX: usize = 64;

/// The state of one session, as this node has it.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The reign in which `is_current` was found out.
    epoch: Epoch,
    is_current: bool,
    replica: Replica,
}

/// Whose turn it is to work for a session.
pub(super) type Turn = OwnedMutexGuard<Book>;

/// Keeps the sessions of one backend.
#[derive(Debug)]
pub(super) struct Kept {
    api: SocketAddr,
    node: String,
    idle: Mutex<Vec<HttpClient>>,
    books: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Book>>>>,
}

/// What the store says to a node that does not serve a session any more.
#[derive(Debug, Deserialize)]
struct Fenced {
    owner: Option<String>,
    epoch: Epoch,
}

impl Kept {
    pub(super) fn new(api: SocketAddr, node: &str) -> Self {
        Self {
            api,
            node: node.into(),
            idle: Mutex::default(),
            books: Mutex::default(),
        }
    }

    /// Waits for a session's turn.
    pub(super) async fn turn(&self, session: &str) -> Turn {
        let book = lock(&self.books).entry(session.into()).or_default().clone();
        book.lock_owned().await
    }

    /// Takes a replay: a body in the format of entries, as it is behind its coding. False where it goes on from something that
    /// is not held.
    pub(super) async fn take(&self, session: &str, items: &[Item]) -> bool {
        let mut book = self.turn(session).await;
        book.is_current = false;
        book.replica.take(items).is_ok()
    }

    /// The session is served elsewhere. Its copy stays, so that only what changed has to be sent when it comes back.
    pub(super) async fn leave(&self, session: &str) {
        self.turn(session).await.is_current = false;
    }

    /// The state with which a session goes on here, where its reign begins; `None` where what is in memory goes on.
    pub(super) async fn enter(
        &self,
        book: &mut Turn,
        session: &str,
        epoch: Epoch,
    ) -> anyhow::Result<Option<Entered>> {
        if book.is_current && book.epoch >= epoch {
            return Ok(None);
        }
        let state = self.newest(book, session).await?;
        let in_cart = PartitionName::new(CART)
            .ok()
            .and_then(|cart| book.replica.partition(&cart).map(|c| c.keys.len()));
        book.epoch = book.epoch.max(epoch);
        book.is_current = true;
        let entered = match state {
            Some(state) => Entered {
                // Copies of the cart come with those of the counter; who has none has to look.
                cart_is_short: in_cart.is_some_and(|items| (items as u64) < state.count / ITEM_EVERY),
                state: Some(state),
            },
            None => {
                self.put(book, session, PROFILE, vec![b'.'; PROFILE_BYTES])
                    .await?;
                Entered {
                    cart_is_short: false,
                    state: None,
                }
            }
        };
        Ok(Some(entered))
    }

    /// The state as the store has it: the copy where it is of today.
    async fn newest(&self, book: &Turn, session: &str) -> anyhow::Result<Option<State>> {
        let partition = PartitionName::new(GAME.0)?;
        let held = book
            .replica
            .partition(&partition)
            .and_then(|p| p.keys.get(GAME.1.as_bytes()));
        let mut request = Request::get(path(session, GAME));
        if let Some(held) = held {
            request = request.header("if-none-match", format!("\"{}\"", held.version));
        }
        let answer = self.send(book.epoch, request.body(Full::default())?).await?;
        let bytes = match (answer.status().as_u16(), held) {
            (200, _) => answer.body(),
            (304, Some(held)) => &held.bytes,
            (404, _) => return Ok(None),
            (status, _) => bail!("the store answered {status} to a read"),
        };
        Ok(Some(
            serde_json::from_slice(bytes).context("a state that this backend did not write")?,
        ))
    }

    /// Stores the state after a work item. An error: it is not stored, and the item must not be answered.
    pub(super) async fn save(&self, book: &mut Turn, session: &str, state: &State) -> anyhow::Result<()> {
        let saved = self.try_save(book, session, state).await;
        // What is in memory may be ahead of what is stored.
        book.is_current = saved.is_ok();
        saved
    }

    async fn try_save(&self, book: &mut Turn, session: &str, state: &State) -> anyhow::Result<()> {
        if state.count.is_multiple_of(ITEM_EVERY) {
            let item = format!("item/{}", state.count / ITEM_EVERY);
            self.put(book, session, (CART, &item), vec![b'x'; 64]).await?;
        }
        self.put(book, session, GAME, serde_json::to_vec(state)?).await
    }

    async fn put(
        &self,
        book: &mut Turn,
        session: &str,
        at: (&str, &str),
        value: Vec<u8>,
    ) -> anyhow::Result<()> {
        let value = Bytes::from(value);
        for _ in 0..2 {
            let request = Request::put(path(session, at)).body(Full::new(value.clone()))?;
            let answer = self.send(book.epoch, request).await?;
            if answer.status().is_success() {
                return Ok(());
            }
            ensure!(answer.status() == 409, "the store answered {}", answer.status());
            let fenced: Fenced = serde_json::from_slice(answer.body())?;
            ensure!(
                fenced.owner.as_deref() == Some(&*self.node),
                "another node serves the session"
            );
            // A hand-over was given up: the session came back in a new reign.
            book.epoch = fenced.epoch;
        }
        bail!("the session's reign changes faster than this node can follow")
    }

    async fn send(&self, epoch: Epoch, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
        let headers = request.headers_mut();
        headers.insert("foreshift-node", self.node.parse()?);
        if epoch > Epoch(0) {
            headers.insert("foreshift-epoch", epoch.0.into());
        }
        let idle = lock(&self.idle).pop();
        let mut client = idle.unwrap_or_else(|| HttpClient::new(self.api));
        let answer = client.send(request).await?;
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(client);
        }
        Ok(answer)
    }
}

/// With what a reign begins.
#[derive(Debug)]
pub(super) struct Entered {
    /// `None`: the session is new.
    pub(super) state: Option<State>,
    /// The cart has less than was put into it.
    pub(super) cart_is_short: bool,
}

fn path(session: &str, (partition, key): (&str, &str)) -> String {
    format!("/v1/sessions/{session}/partitions/{partition}/{key}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
