//! Telling clients to move: tokens, the messages, and who may come back with one.
//!
//! When and whom to tell is the mover's; what it does to a WebSocket is `ws::instructed`'s.

mod board;
pub(crate) mod control;
mod ledger;
pub(crate) mod token;

use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use foreshift_meta::routes::SigningKeys;
use foreshift_wire::{NodeId, PoolName, SessionId};

pub(crate) use self::{
    board::{Board, Notice},
    ledger::Issued,
};
use self::{
    ledger::Ledger,
    token::{Claims, Refusal, Ring},
};

/// What all workers and the mover share of it.
pub(crate) struct Tokens {
    ring: ArcSwap<Ring>,
    ledger: Mutex<Ledger>,
}

/// A token that was made.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) nonce: u64,
}

impl Tokens {
    pub(crate) fn new(keys: &SigningKeys) -> Self {
        Self {
            ring: ArcSwap::from_pointee(Ring::new(keys)),
            ledger: Mutex::default(),
        }
    }

    /// Other keys are good from now on.
    pub(crate) fn renew(&self, keys: &SigningKeys) {
        self.ring.store(Ring::new(keys).into());
    }

    /// Makes a token. `None` where too many are out.
    pub(crate) fn issue(&self, pool: &PoolName, node: &NodeId, issued: Issued, now_ms: u64) -> Option<Token> {
        let nonce = rand::random();
        let claims = Claims {
            session: issued.session,
            pool: pool.clone(),
            node: node.clone(),
            expires_ms: issued.expires_ms,
            nonce,
        };
        let text = self.ring.load().sign(&claims)?;
        self.ledger()
            .issue(nonce, issued, now_ms)
            .then_some(Token { text, nonce })
    }

    /// Takes the token of a request of `session`: once.
    pub(crate) fn take(
        &self,
        text: &str,
        pool: (usize, &PoolName),
        session: SessionId,
        now_ms: u64,
    ) -> Result<Issued, Refusal> {
        let claims = self.ring.load().verify(text, now_ms)?;
        if claims.pool != *pool.1 {
            return Err(Refusal::OtherSession);
        }
        self.ledger().take(&claims, pool.0, session)
    }

    /// Makes a token for a return to the next process, which knows the keys as well. `None` where there is no key.
    pub(crate) fn issue_return(
        &self,
        pool: &PoolName,
        node: &NodeId,
        session: SessionId,
        expires_ms: u64,
    ) -> Option<String> {
        let claims = Claims {
            session,
            pool: pool.clone(),
            node: node.clone(),
            expires_ms,
            nonce: rand::random(),
        };
        self.ring.load().sign_return(&claims)
    }

    /// Takes the token of a client that the process before this one has sent: once.
    pub(crate) fn take_return(
        &self,
        text: &str,
        pool: &PoolName,
        session: SessionId,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let claims = self.ring.load().verify_return(text, now_ms)?;
        if (&claims.pool, claims.session) != (pool, session) {
            return Err(Refusal::OtherSession);
        }
        self.ledger().take_foreign(&claims, now_ms)
    }

    pub(crate) fn withdraw(&self, nonce: u64) {
        self.ledger().withdraw(nonce);
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
