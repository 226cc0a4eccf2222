//! Tokens with which a node fetches a session's state once, when the session moves to it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use foreshift_wire::{NodeId, PartitionPattern, PoolName, SessionId};
use rand::Rng;

/// Most tokens at a time; where there are more, those that end soonest end now.
const TICKETS_MAX: usize = 16 * 1024;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// What a token was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    pub(crate) pool: PoolName,
    pub(crate) session: SessionId,
    pub(crate) node: NodeId,
    pub(crate) required: Vec<PartitionPattern>,
}

impl Redeemed {
    /// The session whose state may be fetched.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The node that may fetch it.
    pub fn node(&self) -> &NodeId {
        &self.node
    }
}

/// SHA-256 of a token. Tokens are looked up by it, so that the time of a look-up says nothing of a token.
type Hash = [u8; 32];

/// Tokens that were given and not come back. Bounded: each ends by itself.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    given: HashMap<Hash, (Redeemed, Instant)>,
    by_end: BTreeSet<(Instant, Hash)>,
    by_session: BTreeSet<(SessionId, Hash)>,
}

impl Tickets {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing is half done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token. Tokens of the session for other nodes end: it moves elsewhere.
    pub(crate) fn issue(&self, given: Redeemed, within: Duration, now: Instant) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let mut token = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            write!(token, "{byte:02x}").expect("a string takes it");
        }
        let mut table = self.lock();
        table.end_others(given.session, &given.node);
        table.make_room(now);
        table.insert(hash(&token), given, now + within);
        token
    }

    /// What a token was given for, where it is good for this session. It is good once, and not any more after a wrong use.
    pub(crate) fn redeem(&self, session: SessionId, token: &str, now: Instant) -> Option<Redeemed> {
        let (given, ends) = self.lock().remove(&hash(token))?;
        (given.session == session && now < ends).then_some(given)
    }

    /// A token is good once more, for what it was given for: nothing could be fetched with it. For as long as before at most.
    pub(crate) fn give_back(&self, token: &str, given: Redeemed, within: Duration, now: Instant) {
        let mut table = self.lock();
        table.make_room(now);
        table.insert(hash(token), given, now + within);
    }

    /// The session ended.
    pub(crate) fn end(&self, session: SessionId) {
        self.lock().end(session, |_| true);
    }

    /// Tokens that are good.
    pub(crate) fn count(&self) -> usize {
        self.lock().given.len()
    }
}

impl Table {
    fn insert(&mut self, hash: Hash, given: Redeemed, ends: Instant) {
        self.by_end.insert((ends, hash));
        self.by_session.insert((given.session, hash));
        self.given.insert(hash, (given, ends));
    }

    fn remove(&mut self, hash: &Hash) -> Option<(Redeemed, Instant)> {
        let (given, ends) = self.given.remove(hash)?;
        self.by_end.remove(&(ends, *hash));
        self.by_session.remove(&(given.session, *hash));
        Some((given, ends))
    }

    fn end_others(&mut self, session: SessionId, node: &NodeId) {
        self.end(session, |given| given.node != *node);
    }

    fn end(&mut self, session: SessionId, ends: impl Fn(&Redeemed) -> bool) {
        let of_session = self.by_session.range((session, [0; 32])..=(session, [255; 32]));
        let hashes: Vec<Hash> = of_session.map(|(_, hash)| *hash).collect();
        for hash in hashes {
            if self.given.get(&hash).is_some_and(|(given, _)| ends(given)) {
                self.remove(&hash);
            }
        }
    }

    fn make_room(&mut self, now: Instant) {
        while let Some((ends, hash)) = self.by_end.first().copied() {
            if now < ends && self.given.len() < TICKETS_MAX {
                return;
            }
            self.remove(&hash);
        }
    }
}

fn hash(token: &str) -> Hash {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    fn given(session: u128, node: &str) -> Redeemed {
        Redeemed {
            pool: PoolName::new("app").unwrap(),
            session: SessionId(session),
            node: NodeId::new(node).unwrap(),
            required: vec![PartitionPattern::all()],
        }
    }

    #[test]
    fn a_token_is_good_once_for_its_session_in_its_time() {
        let (tickets, start) = (Tickets::default(), Instant::now());
        for (session, after, is_good) in [
            (1, Duration::ZERO, true),
            (1, WITHIN - Duration::from_millis(1), true),
            (1, WITHIN, false),
            (2, Duration::ZERO, false),
        ] {
            let token = tickets.issue(given(1, "a"), WITHIN, start);
            assert_eq!(token.len(), 64);
            let redeemed = tickets.redeem(SessionId(session), &token, start + after);
            assert_eq!(redeemed, is_good.then(|| given(1, "a")), "{session} {after:?}");
            assert_eq!(tickets.redeem(SessionId(1), &token, start), None, "it was used");
        }
        assert_eq!(tickets.redeem(SessionId(1), "", start), None);
        assert_eq!(tickets.count(), 0);
    }

    #[test]
    fn a_token_that_is_given_back_is_good_once_more() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let token = tickets.issue(given(1, "a"), WITHIN, now);
        let redeemed = tickets.redeem(SessionId(1), &token, now).unwrap();
        tickets.give_back(&token, redeemed, WITHIN, now);
        assert_eq!(tickets.redeem(SessionId(1), &token, now), Some(given(1, "a")));
        assert_eq!(tickets.redeem(SessionId(1), &token, now), None);
    }

    #[test]
    fn a_token_ends_when_its_session_moves_elsewhere_or_ends() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let a = tickets.issue(given(1, "a"), WITHIN, now);
        let again = tickets.issue(given(1, "a"), WITHIN, now);
        let other = tickets.issue(given(2, "a"), WITHIN, now);
        assert_ne!(a, again);
        let b = tickets.issue(given(1, "b"), WITHIN, now);
        assert_eq!(tickets.redeem(SessionId(1), &a, now), None);
        assert_eq!(tickets.redeem(SessionId(1), &again, now), None);
        assert_eq!(tickets.redeem(SessionId(1), &b, now), Some(given(1, "b")));
        tickets.end(SessionId(2));
        assert_eq!(tickets.redeem(SessionId(2), &other, now), None);
        assert_eq!(tickets.count(), 0);
    }

    #[test]
    fn tokens_are_bounded_and_ended_ones_go_first() {
        let (tickets, start) = (Tickets::default(), Instant::now());
        let old = tickets.issue(given(0, "a"), WITHIN, start);
        for id in 1..=TICKETS_MAX {
            tickets.issue(given(id as u128, "a"), 2 * WITHIN, start);
        }
        assert_eq!(tickets.count(), TICKETS_MAX);
        assert_eq!(tickets.redeem(SessionId(0), &old, start), None);
        tickets.issue(given(0, "a"), WITHIN, start + 2 * WITHIN);
        assert_eq!(tickets.count(), 1);
    }
}
