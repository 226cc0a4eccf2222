//! Times as `EXPIRE` and its kin say them, and whether a new one is to be taken.

use super::{Command, NOT_AN_INTEGER, Words, integer};

/// A unit, and from when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::view) enum When {
    Seconds { is_left: bool },
    Millis { is_left: bool },
}

impl When {
    fn is_left(self) -> bool {
        let (Self::Seconds { is_left } | Self::Millis { is_left }) = self;
        is_left
    }

    /// A time in Unix milliseconds as a client asks for it; the seconds are rounded, as Redis does.
    pub(in crate::view) fn tell(self, at_ms: u64, now_ms: u64) -> u64 {
        let ms = match self.is_left() {
            true => at_ms.saturating_sub(now_ms),
            false => at_ms,
        };
        match self {
            Self::Seconds { is_left: true } => (ms + 500) / 1_000,
            Self::Seconds { is_left: false } => ms / 1_000,
            Self::Millis { .. } => ms,
        }
    }

    /// What a client says, in Unix milliseconds; `None` where no clock goes so far.
    fn at_ms(self, said: i64, now_ms: u64) -> Option<i64> {
        let ms = match self {
            Self::Seconds { .. } => said.checked_mul(1_000)?,
            Self::Millis { .. } => said,
        };
        match self.is_left() {
            true => ms.checked_add(i64::try_from(now_ms).ok()?),
            false => Some(ms),
        }
    }
}

/// A change of the time when a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::view) struct Expire {
    said: i64,
    when: When,
    only: Only,
    name: &'static str,
}

/// Only then is the time changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Only {
    /// There is none.
    without: bool,
    /// There is one.
    with: bool,
    /// The new one is later.
    later: bool,
    /// The new one is earlier.
    earlier: bool,
}

impl Expire {
    pub(super) fn parse(mut words: Words, name: &'static str, when: When) -> Result<Command, String> {
        let key = words.key()?;
        let said = words.next()?;
        let mut only = Only::default();
        for word in words.rest {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => only.without = true,
                b"XX" => only.with = true,
                b"GT" => only.later = true,
                b"LT" => only.earlier = true,
                _ => return Err(format!("ERR Unsupported option {}", super::shown(&word))),
            }
        }
        if only.without && (only.with || only.later || only.earlier) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if only.later && only.earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        // Redis looks at the options first.
        let said = integer(&said).ok_or(NOT_AN_INTEGER)?;
        Ok(Command::Expire(
            key,
            Self {
                said,
                when,
                only,
                name,
            },
        ))
    }

    /// The new time in Unix milliseconds; 0 where it is past. The error is what the client is told.
    pub(in crate::view) fn at_ms(&self, now_ms: u64) -> Result<u64, String> {
        let at = self.when.at_ms(self.said, now_ms);
        // Later than 2^53 is beyond what JSON numbers hold.
        let at = at.filter(|at| *at < 1 << 53);
        let at = at.ok_or_else(|| format!("ERR invalid expire time in '{}' command", self.name))?;
        Ok(u64::try_from(at)
            .ok()
            .filter(|at| *at > now_ms)
            .unwrap_or_default())
    }

    /// Whether it hangs on the time that there is.
    pub(in crate::view) fn is_conditional(&self) -> bool {
        self.only != Only::default()
    }

    /// Whether the new time is to be taken.
    pub(in crate::view) fn holds(&self, at_ms: u64, found_ms: Option<u64>) -> bool {
        let Only {
            without,
            with,
            later,
            earlier,
        } = self.only;
        // No time is later than all others.
        !(without && found_ms.is_some()
            || with && found_ms.is_none()
            || later && found_ms.is_none_or(|found| at_ms <= found)
            || earlier && found_ms.is_some_and(|found| at_ms >= found))
    }
}
