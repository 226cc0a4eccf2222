//! When a session is over, and when its use is to be noted.
//!
//! Uses are not noted one by one, as each would cost a write: one in a sixteenth of the idle timeout is enough, and a session ends
//! by so much later at most, never earlier.

use super::Ending;
use crate::engine::Record;

/// How long sessions live, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) idle_ms: u64,
    pub(super) absolute_ms: u64,
}

impl Lifetime {
    /// How far what is noted may be behind.
    fn slack_ms(self) -> u64 {
        self.idle_ms / 16
    }

    /// Why a session is over; `None` while it is not. A revoked one is over when its tombstone is not needed any more.
    pub(super) fn over(self, record: &Record, now_ms: u64) -> Option<Ending> {
        let idle_until = record.used_ms.saturating_add(self.idle_ms + self.slack_ms());
        match now_ms {
            _ if now_ms >= record.ends_ms => Some(Ending::TimedOut),
            _ if record.revoked_ms.is_some() => None,
            _ if now_ms >= idle_until => Some(Ending::Idle),
            _ => None,
        }
    }

    /// Whether a use now is to be noted. A clock that went back notes nothing.
    pub(super) fn is_note_due(self, record: &Record, now_ms: u64) -> bool {
        now_ms.saturating_sub(record.used_ms) > self.slack_ms()
    }

    /// Whether it must be noted before anything is written: else the session might end with what was just acknowledged.
    pub(super) fn is_note_urgent(self, record: &Record, now_ms: u64) -> bool {
        now_ms.saturating_sub(record.used_ms) > self.idle_ms / 2
    }

    /// Between two sweeps.
    pub(super) fn sweep_every_ms(self) -> u64 {
        (self.idle_ms.min(self.absolute_ms) / 16).clamp(1_000, 60_000)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use foreshift_wire::Epoch;

    use super::*;

    const LIFETIME: Lifetime = Lifetime {
        idle_ms: 1_600,
        absolute_ms: 10_000,
    };

    #[test]
    fn a_session_is_over_when_idle_or_old_and_not_before() {
        let record = |used_ms, revoked_ms| Record {
            pool: None,
            created_ms: 0,
            used_ms,
            ends_ms: 10_000,
            owner: None,
            epoch: Epoch(1),
            revoked_ms,
            key: Bytes::new(),
        };
        for (used_ms, revoked_ms, now_ms, over) in [
            (1_000, None, 1_000, None),
            (1_000, None, 2_600, None),
            (1_000, None, 2_699, None),
            (1_000, None, 2_700, Some(Ending::Idle)),
            (9_500, None, 9_999, None),
            (9_500, None, 10_000, Some(Ending::TimedOut)),
            // The clock went back.
            (1_000, None, 0, None),
            // A tombstone stays for its whole time.
            (1_000, Some(1_000), 9_999, None),
            (1_000, Some(1_000), 10_000, Some(Ending::TimedOut)),
            (u64::MAX, None, 9_999, None),
        ] {
            let record = record(used_ms, revoked_ms);
            assert_eq!(
                LIFETIME.over(&record, now_ms),
                over,
                "{used_ms} {revoked_ms:?} {now_ms}"
            );
        }
        assert!(!LIFETIME.is_note_due(&record(1_000, None), 1_100));
        assert!(LIFETIME.is_note_due(&record(1_000, None), 1_101));
        assert!(!LIFETIME.is_note_due(&record(1_000, None), 0));
        assert!(LIFETIME.is_note_urgent(&record(1_000, None), 1_801));
    }
}
