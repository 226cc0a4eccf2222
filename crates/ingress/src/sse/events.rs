//! Finds where events end, and the id of the last one.

/// An event that is larger than this is none.
const EVENT_MAX: usize = 1024 * 1024;

/// More than [`EVENT_MAX`] bytes without the end of an event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of over {EVENT_MAX} bytes")]
pub(super) struct EventTooLarge;

/// Cuts a stream of bytes into whole events.
#[derive(Debug, Default)]
pub(super) struct Events {
    pending: Vec<u8>,
    scanned: usize,
    line_start: usize,
    /// The `id` field of the event under way.
    id: Option<Vec<u8>>,
    last_id: Option<Vec<u8>>,
}

impl Events {
    /// Takes bytes in; returns all whole events, in one piece.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, EventTooLarge> {
        self.pending.extend_from_slice(bytes);
        let mut end = 0;
        while self.scanned < self.pending.len() {
            let at = self.scanned;
            let line_end = match self.pending[at] {
                b'\n' => at + 1,
                // Whether a line feed belongs to it shows with the next byte.
                b'\r' if at + 1 == self.pending.len() => break,
                b'\r' => at + 1 + usize::from(self.pending[at + 1] == b'\n'),
                _ => {
                    self.scanned += 1;
                    continue;
                }
            };
            if at == self.line_start {
                end = line_end;
                if let Some(id) = self.id.take() {
                    self.last_id = Some(id);
                }
            } else {
                self.note_id(at);
            }
            self.line_start = line_end;
            self.scanned = line_end;
        }
        let rest = self.pending.split_off(end);
        let whole = std::mem::replace(&mut self.pending, rest);
        self.scanned -= end;
        self.line_start -= end;
        if self.pending.len() > EVENT_MAX {
            Err(EventTooLarge)
        } else {
            Ok(whole)
        }
    }

    fn note_id(&mut self, line_end: usize) {
        let line = &self.pending[self.line_start..line_end];
        if let Some(value) = line.strip_prefix(b"id:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if !value.contains(&0) {
                self.id = Some(value.to_vec());
            }
        }
    }

    /// The id of the last whole event that had one.
    pub(super) fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref()
    }

    /// Forgets the event under way: another node sends it again.
    pub(super) fn restart(&mut self) {
        *self = Self {
            last_id: self.last_id.take(),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_events_come_out() {
        let mut events = Events::default();
        assert_eq!(events.take(b"id: 1\ndata: a\n").unwrap(), b"");
        assert_eq!(events.last_id(), None);
        assert_eq!(events.take(b"\nid:2\ndata").unwrap(), b"id: 1\ndata: a\n\n");
        assert_eq!(events.last_id(), Some(&b"1"[..]));
        events.restart();
        assert_eq!(
            events.take(b"id:2\r\ndata: b\r\n\r\n: ping").unwrap(),
            b"id:2\r\ndata: b\r\n\r\n"
        );
        assert_eq!(events.last_id(), Some(&b"2"[..]));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        assert_eq!(events.take(&vec![b'x'; EVENT_MAX + 1]), Err(EventTooLarge));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made_up(text in "(id: [0-9]{1,3}(\n|\r\n)|data: [a-z]{0,9}(\n|\r\n)|\n|\r\n){0,40}", cut in 1usize..7) {
            let mut events = Events::default();
            let mut out = Vec::new();
            for part in text.as_bytes().chunks(cut) {
                out.extend(events.take(part).unwrap());
            }
            let mut whole = Events::default();
            prop_assert_eq!(&out, &whole.take(text.as_bytes()).unwrap());
            prop_assert!(text.as_bytes().starts_with(&out));
            prop_assert_eq!(events.last_id(), whole.last_id());
        }
    }
}
