//! Where the frames of a TCP protocol begin and end.
//!
//! Pure, and in any pieces: bytes in, ends of frames out. Nothing is kept of a frame but how much of it is left, so a
//! long one costs no memory.

mod command;
mod resp;

use foreshift_wire::Framing;

pub(super) use self::{
    command::{Command, LOOKED_AT, Slot},
    resp::Resp,
};

/// Why bytes are no frames of the protocol that was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// Longer than `limits.message_bytes`.
    #[error("a frame is longer than {0} bytes")]
    TooLong(u64),
    /// Something else is spoken.
    #[error("it is not RESP: {0}")]
    Malformed(&'static str),
}

/// How a step through the bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Within a frame: all bytes were used.
    Inside,
    /// Behind the last byte of a frame. With RESP, the byte that tells its type.
    End(u8),
}

/// Follows the frames of one direction.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    kind: Kind,
    /// Bytes of the frame so far.
    length: u64,
    max: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Line,
    Length { size: u8, seen: u8, left: u64 },
    Resp(Resp),
}

impl Frames {
    /// At the beginning of a frame. Frames may have `max` bytes; 0 is without limit.
    pub(crate) fn new(framing: Framing, max: u64) -> Self {
        let kind = match framing {
            Framing::Line => Kind::Line,
            Framing::LengthPrefix(size) => Kind::Length {
                size,
                seen: 0,
                left: 0,
            },
            Framing::Resp => Kind::Resp(Resp::default()),
        };
        let max = if max == 0 { u64::MAX } else { max };
        Self { kind, length: 0, max }
    }

    /// Between two frames.
    pub(crate) fn at_boundary(&self) -> bool {
        self.length == 0
    }

    /// As it was made.
    pub(super) fn restart(&mut self) {
        self.length = 0;
        match &mut self.kind {
            Kind::Line => {}
            Kind::Length { seen, left, .. } => (*seen, *left) = (0, 0),
            Kind::Resp(resp) => *resp = Resp::default(),
        }
    }

    /// Goes on to the end of the frame, or of `bytes`, which are not empty. Returns how many were used.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Step), Violation> {
        let (used, step) = match &mut self.kind {
            Kind::Line => line(bytes),
            Kind::Length { size, seen, left } => prefixed(*size, seen, left, bytes),
            Kind::Resp(resp) => resp.next(bytes, self.max)?,
        };
        self.length = self.length.saturating_add(used as u64);
        if self.length > self.max {
            return Err(Violation::TooLong(self.max));
        }
        if let Kind::Length { left, .. } = &self.kind
            && self.length.saturating_add(*left) > self.max
        {
            return Err(Violation::TooLong(self.max));
        }
        if step != Step::Inside {
            self.length = 0;
        }
        Ok((used, step))
    }
}

fn line(bytes: &[u8]) -> (usize, Step) {
    match memchr::memchr(b'\n', bytes) {
        Some(at) => (at + 1, Step::End(b'\n')),
        None => (bytes.len(), Step::Inside),
    }
}

fn prefixed(size: u8, seen: &mut u8, left: &mut u64, bytes: &[u8]) -> (usize, Step) {
    let mut used = 0;
    while *seen < size {
        let Some(byte) = bytes.get(used) else {
            return (used, Step::Inside);
        };
        *left = *left << 8 | u64::from(*byte);
        *seen += 1;
        used += 1;
    }
    let part = (bytes.len() - used).min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= part as u64;
    used += part;
    if *left > 0 {
        return (used, Step::Inside);
    }
    *seen = 0;
    (used, Step::End(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ends of the frames in `bytes`, read in pieces.
    fn ends(framing: Framing, bytes: &[u8], cuts: &[usize]) -> Result<Vec<usize>, Violation> {
        let mut frames = Frames::new(framing, 1000);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let (mut at, mut ends) = (0, Vec::new());
        for cut in cuts {
            while at < cut {
                let (used, step) = frames.next(&bytes[at..cut])?;
                assert!(used > 0 && at + used <= cut);
                at += used;
                if step != Step::Inside {
                    ends.push(at);
                    assert!(frames.at_boundary());
                }
            }
        }
        Ok(ends)
    }

    fn resp() -> impl Strategy<Value = Vec<u8>> {
        let text = "[a-z ]{0,9}";
        let leaf = prop_oneof![
            (prop::sample::select(&b"+-:_#,("[..]), text).prop_map(|(t, s)| format!(
                "{}{s}\r\n",
                char::from(t)
            )
            .into_bytes()),
            (prop::sample::select(&b"$=!"[..]), any::<Vec<u8>>()).prop_map(|(t, b)| {
                [
                    format!("{}{}\r\n", char::from(t), b.len()).as_bytes(),
                    &b,
                    b"\r\n",
                ]
                .concat()
            }),
            Just(b"$-1\r\n".to_vec()),
            Just(b"*-1\r\n".to_vec()),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let list = (
                prop::sample::select(&b"*~>"[..]),
                prop::collection::vec(inner.clone(), 0..4),
            )
                .prop_map(|(t, all)| {
                    [
                        format!("{}{}\r\n", char::from(t), all.len()).into_bytes(),
                        all.concat(),
                    ]
                    .concat()
                });
            let pairs = (
                prop::collection::vec((inner.clone(), inner.clone()), 0..3),
                prop::option::of(inner),
            )
                .prop_map(|(all, described)| {
                    // A map, or attributes with what they are of.
                    let kind = if described.is_some() { '|' } else { '%' };
                    let head = format!("{kind}{}\r\n", all.len()).into_bytes();
                    let all: Vec<u8> = all.into_iter().flat_map(|(k, v)| [k, v].concat()).collect();
                    [head, all, described.unwrap_or_default()].concat()
                });
            prop_oneof![list, pairs]
        })
        .prop_filter("within the limit", |bytes| bytes.len() <= 1000)
    }

    fn frame() -> impl Strategy<Value = (Framing, Vec<Vec<u8>>)> {
        let lines = prop::collection::vec("[a-z\r]{0,20}\n".prop_map(String::into_bytes), 0..9);
        let prefixed = prop::sample::select(vec![1_u8, 2, 4, 8]).prop_flat_map(|size| {
            let frame = prop::collection::vec(any::<u8>(), 0..200).prop_map(move |body| {
                let length = (body.len() as u64).to_be_bytes();
                [&length[8 - usize::from(size)..], &body].concat()
            });
            (
                Just(Framing::LengthPrefix(size)),
                prop::collection::vec(frame, 0..9),
            )
        });
        prop_oneof![
            lines.prop_map(|lines| (Framing::Line, lines)),
            prefixed,
            prop::collection::vec(resp(), 0..9).prop_map(|all| (Framing::Resp, all)),
        ]
    }

    proptest! {
        #[test]
        fn frames_end_where_they_were_written_in_any_pieces((framing, frames) in frame(), cuts: [usize; 5]) {
            let expected: Vec<usize> = frames.iter().scan(0, |at, f| { *at += f.len(); Some(*at) }).collect();
            prop_assert_eq!(ends(framing, &frames.concat(), &cuts), Ok(expected));
        }

        #[test]
        fn garbage_is_followed_or_refused_alike_in_any_pieces(
            framing in prop::sample::select(vec![Framing::Line, Framing::LengthPrefix(2), Framing::LengthPrefix(8), Framing::Resp]),
            bytes in prop_oneof![any::<Vec<u8>>(), "[*$%|>+~0-9\r\n-]{0,60}".prop_map(String::into_bytes)],
            cuts: [usize; 5],
        ) {
            prop_assert_eq!(ends(framing, &bytes, &cuts), ends(framing, &bytes, &[]));
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_there() {
        for (framing, begin) in [
            (Framing::LengthPrefix(4), &b"\0\0\x03\xe5"[..]),
            (Framing::LengthPrefix(8), b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            (Framing::Line, &[b'x'; 1001]),
            (Framing::Resp, b"$1000\r\n"),
            (Framing::Resp, b"*1000\r\n"),
            (Framing::Resp, b"*9223372036854775807\r\n"),
            (Framing::Resp, b"%9223372036854775807\r\n"),
            (Framing::Resp, b"$99999999999999999999999\r\n"),
        ] {
            assert_eq!(
                ends(framing, begin, &[]),
                Err(Violation::TooLong(1000)),
                "{framing:?}"
            );
        }
    }
}
