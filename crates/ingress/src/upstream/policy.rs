//! Whether a request that a node failed is tried again.
//!
//! First of all it must be safe. What was not sent is, and what an HTTP/2 node refused to look at. What may have been
//! worked on is only where the method is idempotent and the whole request can be said again. Then the operator must
//! have asked for it, and attempts, time and budget must be left.
//!
//! Looking for a node that takes a connection draws nothing from the budget: no node has had the request yet, so it
//! makes nobody's load larger.
//!
//! Pure: callers pass `now` and the random number.

use std::time::{Duration, Instant};

use foreshift_wire::{Retry, RetryOn};

use super::budget::Budget;

/// The first wait is up to this long; each further one up to twice as long.
const BACKOFF: Duration = Duration::from_millis(25);

/// Why a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection: nothing was sent.
    Connect,
    /// The node did not look at the request (RFC 9113, 8.7).
    RefusedStream,
    /// The connection broke before any of the answer came.
    Reset,
    /// The try's time passed.
    Timeout,
    /// This status, and the `Retry-After` that came with it.
    Status(u16, Option<Duration>),
}

/// The request, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// RFC 9110, 9.2.2: twice is as once.
    pub(crate) idempotent: bool,
    /// All of it is still here, or it has no body.
    pub(crate) whole: bool,
}

impl Asked {
    /// Whether it may be sent, after a try ended so.
    pub(crate) fn is_safe_after(self, cause: Cause) -> bool {
        match cause {
            Cause::Connect => true,
            Cause::RefusedStream => self.whole,
            Cause::Reset | Cause::Timeout | Cause::Status(..) => self.idempotent && self.whole,
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another try after this wait.
    Again(Duration),
    Enough(Enough),
}

/// Why there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enough {
    /// It could be worked on twice.
    Unsafe,
    /// The operator did not ask for it.
    NotAsked,
    /// As many tries as allowed.
    Attempts,
    /// The wait would be too long.
    Time,
    /// The budget is used up.
    Budget,
}

/// `[pool.retry]`, ready for use.
#[derive(Debug)]
pub(crate) struct Policy {
    attempts: u8,
    connect: bool,
    refused_stream: bool,
    reset: bool,
    timeout: bool,
    statuses: Box<[u16]>,
    per_try: Option<Duration>,
    backoff_max: Duration,
}

impl Policy {
    pub(super) fn new(retry: &Retry) -> Self {
        let on = |what| retry.on.contains(&what);
        let status = |on: &RetryOn| match on {
            RetryOn::Status(status) => Some(*status),
            RetryOn::Connect | RetryOn::RefusedStream | RetryOn::Reset | RetryOn::Timeout => None,
        };
        Self {
            attempts: retry.attempts,
            connect: on(RetryOn::Connect),
            refused_stream: on(RetryOn::RefusedStream),
            reset: on(RetryOn::Reset),
            timeout: on(RetryOn::Timeout),
            statuses: retry.on.iter().filter_map(status).collect(),
            per_try: retry.per_try_timeout.map(|limit| limit.get()),
            backoff_max: retry.backoff_max.get(),
        }
    }

    /// Whether it can happen that something is sent twice, so that a budget is needed.
    pub(super) fn resends(&self) -> bool {
        self.attempts > 1 && (self.refused_stream || self.reset || self.timeout || !self.statuses.is_empty())
    }

    fn is_on(&self, cause: Cause) -> bool {
        match cause {
            Cause::Connect => self.connect,
            Cause::RefusedStream => self.refused_stream,
            Cause::Reset => self.reset,
            Cause::Timeout => self.timeout,
            Cause::Status(status, _) => self.statuses.contains(&status),
        }
    }

    /// The time of one try, where `left` is what all tries together still have.
    ///
    /// The shorter one only where another try may follow: to give up the last one early would help nobody.
    pub(super) fn time_of_try(&self, tries: u8, asked: Asked, left: Duration) -> Duration {
        let follows = self.timeout && tries < self.attempts && asked.is_safe_after(Cause::Timeout);
        match self.per_try {
            Some(limit) if follows => limit.min(left),
            _ => left,
        }
    }

    /// What comes after `tries` tries, the last of which ended by `cause`. `left` is the time that remains; `chance` is
    /// a random number from 0 to 1.
    pub(super) fn next(
        &self,
        (tries, cause, asked): (u8, Cause, Asked),
        (now, left): (Instant, Duration),
        budget: &mut Budget,
        chance: f64,
    ) -> Next {
        if !self.is_on(cause) {
            return Next::Enough(Enough::NotAsked);
        }
        if !asked.is_safe_after(cause) {
            return Next::Enough(Enough::Unsafe);
        }
        if tries >= self.attempts {
            return Next::Enough(Enough::Attempts);
        }
        if cause == Cause::Connect {
            return Next::Again(Duration::ZERO);
        }
        let Some(wait) = self.wait(tries, cause, chance).filter(|wait| *wait < left) else {
            return Next::Enough(Enough::Time);
        };
        if !budget.take(now) {
            return Next::Enough(Enough::Budget);
        }
        Next::Again(wait)
    }

    /// Full jitter, so that what failed together does not come back together.
    fn wait(&self, tries: u8, cause: Cause, chance: f64) -> Option<Duration> {
        let highest = BACKOFF * 2_u32.saturating_pow(u32::from(tries).saturating_sub(1));
        let jittered = highest.min(self.backoff_max).mul_f64(chance.clamp(0.0, 1.0));
        match cause {
            Cause::Status(_, Some(asked)) if asked > self.backoff_max => None,
            Cause::Status(_, Some(asked)) => Some(jittered.max(asked)),
            _ => Some(jittered),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: Asked = Asked {
        idempotent: true,
        whole: true,
    };
    const POST: Asked = Asked {
        idempotent: false,
        whole: true,
    };
    const UPLOAD: Asked = Asked {
        idempotent: true,
        whole: false,
    };
    const ALL: &str = r#"attempts = 3
        on = ["connect", "refused_stream", "reset", "timeout", "502", "503"]
        per_try_timeout = "1s""#;

    fn policy(text: &str) -> Policy {
        let text = format!(
            "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\npool = \"p\"\n[[pool]]\nname = \"p\"\n[pool.retry]\n{text}"
        );
        let config = foreshift_wire::Config::parse(&text).unwrap();
        Policy::new(&config.pool[0].retry)
    }

    fn rich() -> Budget {
        Budget::new(1.0, 100.0)
    }

    fn next(policy: &Policy, tries: u8, cause: Cause, asked: Asked) -> Next {
        let time = (Instant::now(), Duration::from_secs(10));
        policy.next((tries, cause, asked), time, &mut rich(), 0.5)
    }

    #[test]
    fn only_what_is_safe_and_asked_for_is_tried_again() {
        use Enough::{Attempts, NotAsked, Time, Unsafe};
        let half = Next::Again(Duration::from_micros(12_500));
        let seconds = |n| Some(Duration::from_secs(n));
        for (on, tries, cause, asked, expected) in [
            ("", 1, Cause::Connect, POST, Next::Again(Duration::ZERO)),
            ("", 3, Cause::Connect, GET, Next::Enough(Attempts)),
            ("", 1, Cause::Status(503, None), GET, Next::Enough(NotAsked)),
            ("", 1, Cause::Reset, GET, Next::Enough(NotAsked)),
            ("on = []", 1, Cause::Connect, GET, Next::Enough(NotAsked)),
            ("attempts = 1", 1, Cause::Connect, GET, Next::Enough(Attempts)),
            (ALL, 1, Cause::Status(503, None), GET, half),
            (
                ALL,
                2,
                Cause::Status(502, None),
                GET,
                Next::Again(Duration::from_millis(25)),
            ),
            (ALL, 3, Cause::Status(503, None), GET, Next::Enough(Attempts)),
            (ALL, 1, Cause::Status(500, None), GET, Next::Enough(NotAsked)),
            (ALL, 1, Cause::Status(503, None), POST, Next::Enough(Unsafe)),
            (ALL, 1, Cause::Reset, POST, Next::Enough(Unsafe)),
            (ALL, 1, Cause::Timeout, POST, Next::Enough(Unsafe)),
            (ALL, 1, Cause::Reset, UPLOAD, Next::Enough(Unsafe)),
            (ALL, 1, Cause::RefusedStream, POST, half),
            (ALL, 1, Cause::RefusedStream, UPLOAD, Next::Enough(Unsafe)),
            (ALL, 1, Cause::Status(503, seconds(0)), GET, half),
            (ALL, 1, Cause::Status(503, seconds(1)), GET, Next::Enough(Time)),
        ] {
            assert_eq!(
                next(&policy(on), tries, cause, asked),
                expected,
                "{on} {tries} {cause:?} {asked:?}"
            );
        }
    }

    #[test]
    fn a_nodes_retry_after_is_waited_for_where_it_fits() {
        let policy = policy("on = [\"503\"]\nbackoff_max = \"2s\"");
        let busy = Cause::Status(503, Some(Duration::from_secs(1)));
        assert_eq!(next(&policy, 1, busy, GET), Next::Again(Duration::from_secs(1)));
        let little = (Instant::now(), Duration::from_millis(900));
        let late = policy.next((1, busy, GET), little, &mut rich(), 0.5);
        assert_eq!(late, Next::Enough(Enough::Time));
    }

    #[test]
    fn only_a_try_that_another_may_follow_is_cut_short() {
        let left = Duration::from_secs(60);
        for (on, tries, asked, expected) in [
            (ALL, 1, GET, Duration::from_secs(1)),
            (ALL, 3, GET, left),
            (ALL, 1, POST, left),
            (ALL, 1, UPLOAD, left),
            ("per_try_timeout = \"1s\"", 1, GET, left),
        ] {
            assert_eq!(
                policy(on).time_of_try(tries, asked, left),
                expected,
                "{on} {tries} {asked:?}"
            );
        }
    }

    fn any_cause() -> impl Strategy<Value = Cause> {
        prop_oneof![
            Just(Cause::Connect),
            Just(Cause::RefusedStream),
            Just(Cause::Reset),
            Just(Cause::Timeout),
            (429_u16..600, prop::option::of(0_u64..3))
                .prop_map(|(s, after)| Cause::Status(s, after.map(Duration::from_secs))),
        ]
    }

    proptest! {
        #[test]
        fn what_may_have_been_worked_on_is_sent_again_only_if_idempotent_and_whole(
            cause in any_cause(), idempotent: bool, whole: bool, tries in 1_u8..5, chance in 0.0..1.0_f64,
        ) {
            let asked = Asked { idempotent, whole };
            let time = (Instant::now(), Duration::from_secs(5));
            if let Next::Again(wait) = policy(ALL).next((tries, cause, asked), time, &mut rich(), chance) {
                let untouched = matches!(cause, Cause::Connect | Cause::RefusedStream);
                prop_assert!(untouched || idempotent);
                prop_assert!(cause == Cause::Connect || whole);
                prop_assert!(tries < 3 && wait <= Duration::from_millis(250));
            }
        }
    }

    #[test]
    fn without_budget_nothing_is_sent_again_but_another_node_is_looked_for() {
        let mut poor = Budget::new(0.0, 0.0);
        let time = (Instant::now(), Duration::from_secs(1));
        assert!(poor.take(time.0) && !poor.take(time.0));
        let policy = policy(ALL);
        let reset = policy.next((1, Cause::Reset, GET), time, &mut poor, 0.5);
        assert_eq!(reset, Next::Enough(Enough::Budget));
        let connect = policy.next((1, Cause::Connect, GET), time, &mut poor, 0.5);
        assert_eq!(connect, Next::Again(Duration::ZERO));
    }
}
