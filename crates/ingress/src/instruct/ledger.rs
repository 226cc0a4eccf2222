//! Which tokens are out, and which were used: each is taken once.
//!
//! One for the whole process, behind a lock, since a client may come back to any worker: that is rare, unlike requests.

use std::collections::HashMap;

use foreshift_wire::{ConnectionId, SessionId};

use super::token::{Claims, Refusal};

/// Tokens that may be out at once, and used ones that are remembered. Beyond it nothing is issued: the proxy moves those.
const TOKENS_MAX: usize = 200_000;

/// What a token that is out is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Index of the pool.
    pub(crate) pool: usize,
    pub(crate) session: SessionId,
    /// The stream whose client was told; `None`: any request of the session may bring it.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) expires_ms: u64,
}

/// Tokens by nonce.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    out: HashMap<u64, Issued>,
    /// Until when each has to be remembered.
    used: HashMap<u64, u64>,
    /// Nothing expires before this time.
    next_expiry_ms: u64,
}

impl Ledger {
    /// Enters a token. False where there are too many.
    pub(crate) fn issue(&mut self, nonce: u64, issued: Issued, now_ms: u64) -> bool {
        self.forget(now_ms);
        if self.out.len() + self.used.len() >= TOKENS_MAX {
            return false;
        }
        self.next_expiry_ms = self.next_expiry_ms.min(issued.expires_ms);
        self.out.insert(nonce, issued);
        true
    }

    /// Takes a token that was verified, for a request of `session` in `pool`.
    pub(crate) fn take(
        &mut self,
        claims: &Claims,
        pool: usize,
        session: SessionId,
    ) -> Result<Issued, Refusal> {
        if self.used.contains_key(&claims.nonce) {
            return Err(Refusal::Used);
        }
        let issued = self.out.get(&claims.nonce).ok_or(Refusal::Unknown)?;
        if (issued.pool, issued.session) != (pool, session) || claims.session != session {
            return Err(Refusal::OtherSession);
        }
        let issued = self.out.remove(&claims.nonce).ok_or(Refusal::Unknown)?;
        self.used.insert(claims.nonce, issued.expires_ms);
        Ok(issued)
    }

    /// Takes a token that another process issued, and that was verified, at its first use.
    pub(crate) fn take_foreign(&mut self, claims: &Claims, now_ms: u64) -> Result<(), Refusal> {
        self.forget(now_ms);
        if self.used.contains_key(&claims.nonce) {
            return Err(Refusal::Used);
        }
        if self.out.len() + self.used.len() >= TOKENS_MAX {
            return Err(Refusal::TooMany);
        }
        self.next_expiry_ms = self.next_expiry_ms.min(claims.expires_ms);
        self.used.insert(claims.nonce, claims.expires_ms);
        Ok(())
    }

    /// Makes a token good for nothing.
    pub(crate) fn withdraw(&mut self, nonce: u64) {
        self.out.remove(&nonce);
    }

    fn forget(&mut self, now_ms: u64) {
        if self.next_expiry_ms > now_ms {
            return;
        }
        self.out.retain(|_, issued| issued.expires_ms > now_ms);
        self.used.retain(|_, expires_ms| *expires_ms > now_ms);
        let expiries = self.out.values().map(|issued| &issued.expires_ms);
        // Looked at once a second at most: many expire in the same one.
        let next = expiries.chain(self.used.values()).min().copied();
        self.next_expiry_ms = next.unwrap_or(u64::MAX).max(now_ms + 1_000);
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{NodeId, PoolName};

    use super::*;

    fn issued(session: u128, expires_ms: u64) -> Issued {
        Issued {
            pool: 0,
            session: SessionId(session),
            connection: Some(ConnectionId(1)),
            expires_ms,
        }
    }

    fn claims(nonce: u64, session: u128) -> Claims {
        Claims {
            session: SessionId(session),
            pool: PoolName::new("app").unwrap(),
            node: NodeId::new("n1").unwrap(),
            expires_ms: 1_000,
            nonce,
        }
    }

    #[test]
    fn a_token_is_taken_once_by_its_own_session_and_pool() {
        let mut ledger = Ledger::default();
        assert!(ledger.issue(7, issued(1, 1_000), 0));
        let mine = SessionId(1);
        assert_eq!(
            ledger.take(&claims(7, 1), 0, SessionId(2)),
            Err(Refusal::OtherSession)
        );
        assert_eq!(ledger.take(&claims(7, 1), 1, mine), Err(Refusal::OtherSession));
        assert_eq!(ledger.take(&claims(7, 2), 0, mine), Err(Refusal::OtherSession));
        assert_eq!(ledger.take(&claims(8, 1), 0, mine), Err(Refusal::Unknown));
        assert_eq!(ledger.take(&claims(7, 1), 0, mine), Ok(issued(1, 1_000)));
        assert_eq!(ledger.take(&claims(7, 1), 0, mine), Err(Refusal::Used));
    }

    #[test]
    fn a_token_of_another_process_is_taken_once_and_forgotten_when_it_has_expired() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.take_foreign(&claims(7, 1), 0), Ok(()));
        assert_eq!(ledger.take_foreign(&claims(7, 1), 999), Err(Refusal::Used));
        assert_eq!(ledger.take_foreign(&claims(8, 1), 999), Ok(()));
        ledger.forget(2_000);
        assert_eq!(ledger.used.len(), 0);
    }

    #[test]
    fn a_withdrawn_token_is_taken_by_nobody() {
        let mut ledger = Ledger::default();
        ledger.issue(7, issued(1, 1_000), 0);
        ledger.withdraw(7);
        assert_eq!(ledger.take(&claims(7, 1), 0, SessionId(1)), Err(Refusal::Unknown));
    }

    #[test]
    fn it_holds_so_many_at_once_and_has_room_again_when_they_expire() {
        let mut ledger = Ledger::default();
        for nonce in 0..TOKENS_MAX as u64 {
            assert!(ledger.issue(nonce, issued(1, 5_000), 0));
        }
        ledger.take(&claims(3, 1), 0, SessionId(1)).unwrap();
        assert!(!ledger.issue(u64::MAX, issued(1, 5_000), 4_999));
        assert_eq!(ledger.take(&claims(3, 1), 0, SessionId(1)), Err(Refusal::Used));
        assert!(ledger.issue(u64::MAX, issued(1, 9_000), 5_000));
        assert_eq!(ledger.out.len() + ledger.used.len(), 1);
    }
}
