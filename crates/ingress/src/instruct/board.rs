//! Sessions whose next answer tells their client to move: those that have requests and no stream.
//!
//! Each worker has a board for each pool, and a client may ask any of them, so a [`Notice`] hangs on all and is said once. Where
//! none hangs, a request pays for one flag.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use foreshift_wire::SessionId;

use super::control::Migrate;

/// What is to be said.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) token: String,
    /// Time to come, counted from `at`.
    pub(crate) within: Duration,
    /// When the client is to come.
    pub(crate) at: Instant,
    said: AtomicBool,
}

impl Notice {
    pub(crate) fn new(token: String, at: Instant, within: Duration) -> Self {
        Self {
            token,
            within,
            at,
            said: AtomicBool::new(false),
        }
    }

    fn until(&self) -> Instant {
        self.at + self.within
    }

    /// `Foreshift-Migrate` and `Alt-Svc` for a client that is to come to `url`, which is a scheme and an authority. `None`
    /// where it is anything else.
    pub(crate) fn fields(&self, url: String, now: Instant) -> Option<(String, String)> {
        let (scheme, authority) = url.split_once("://")?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let alternative = with_port(authority, secure);
        let seconds = self.within.as_secs().max(1);
        let mut alt_svc = format!("http%2F1.1=\"{alternative}\"; ma={seconds}");
        if secure {
            // In the clear nobody can agree on h2.
            alt_svc = format!("h2=\"{alternative}\"; ma={seconds}, {alt_svc}");
        }
        let migrate = Migrate {
            token: self.token.clone(),
            within_ms: self.within.as_millis() as u64,
            delay_ms: self.at.saturating_duration_since(now).as_millis() as u64,
            url,
            reason: "rebalance",
        };
        Some((migrate.header(), alt_svc))
    }
}

/// `Alt-Svc` always names the port.
fn with_port(authority: &str, secure: bool) -> String {
    let host_end = authority.rfind(']').unwrap_or(0);
    match (authority[host_end..].contains(':'), secure) {
        (true, _) => authority.to_owned(),
        (false, true) => format!("{authority}:443"),
        (false, false) => format!("{authority}:80"),
    }
}

/// The notices of one pool in one worker. The mover bounds their number: each is of a session that is being told.
#[derive(Debug, Default)]
pub(crate) struct Board {
    notices: RefCell<HashMap<SessionId, Arc<Notice>>>,
    /// When the last of them is over; `None` where there is none.
    until: Cell<Option<Instant>>,
}

impl Board {
    pub(crate) fn post(&self, session: SessionId, notice: Arc<Notice>) {
        let until = notice.until();
        self.until
            .set(Some(self.until.get().map_or(until, |u| u.max(until))));
        self.notices.borrow_mut().insert(session, notice);
    }

    /// Nothing is to be said to the session's client any more.
    pub(crate) fn take_down(&self, session: SessionId) {
        self.notices.borrow_mut().remove(&session);
        self.tidy();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.until.get().is_none()
    }

    /// What a session's client is to be told: once, and not where its time is over.
    pub(crate) fn take(&self, session: SessionId, now: Instant) -> Option<Arc<Notice>> {
        if self.until.get().is_some_and(|until| until <= now) {
            self.notices.borrow_mut().clear();
        }
        let notice = self.notices.borrow_mut().remove(&session);
        self.tidy();
        notice.filter(|notice| now < notice.until() && !notice.said.swap(true, Ordering::Relaxed))
    }

    fn tidy(&self) {
        if self.notices.borrow().is_empty() {
            self.until.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    fn notice(at: Instant) -> Arc<Notice> {
        Arc::new(Notice::new("t".into(), at, WITHIN))
    }

    #[test]
    fn a_session_is_told_once_and_not_too_late() {
        let (board, other, now) = (Board::default(), Board::default(), Instant::now());
        let (ann, bob) = (SessionId(1), SessionId(2));
        assert!(board.is_empty());
        let told = notice(now);
        board.post(ann, told.clone());
        other.post(ann, told);
        assert!(board.take(bob, now).is_none());
        assert!(!board.is_empty());
        assert!(board.take(ann, now).is_some());
        assert!(board.is_empty());
        assert!(board.take(ann, now).is_none());
        assert!(other.take(ann, now).is_none(), "another worker has said it");
        board.post(ann, notice(now));
        assert!(board.take(ann, now + WITHIN).is_none());
        assert!(board.is_empty());
        board.post(ann, notice(now));
        board.take_down(ann);
        assert!(board.is_empty() && board.take(ann, now).is_none());
    }

    #[test]
    fn nothing_is_kept_beyond_its_time() {
        let (board, now) = (Board::default(), Instant::now());
        for session in 0..100 {
            board.post(SessionId(session), notice(now));
        }
        assert!(board.take(SessionId(1_000), now + WITHIN).is_none());
        assert!(board.is_empty());
    }

    #[test]
    fn the_fields_are_as_documented() {
        let now = Instant::now();
        let notice = notice(now + Duration::from_millis(1_234));
        for (url, alt_svc) in [
            (
                "https://a.example",
                "h2=\"a.example:443\"; ma=30, http%2F1.1=\"a.example:443\"; ma=30",
            ),
            ("http://a.example:8080", "http%2F1.1=\"a.example:8080\"; ma=30"),
            ("http://[::1]", "http%2F1.1=\"[::1]:80\"; ma=30"),
            ("http://[::1]:81", "http%2F1.1=\"[::1]:81\"; ma=30"),
        ] {
            let (migrate, found) = notice.fields(url.into(), now).unwrap();
            assert_eq!(found, alt_svc);
            assert_eq!(
                migrate,
                format!("url=\"{url}\", token=\"t\", within=30, delay=1234")
            );
        }
        assert!(notice.fields("ws://a.example".into(), now).is_none());
    }
}
