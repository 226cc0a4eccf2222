//! Takes single control frames out of a stream of frames, while the rest passes.

use super::frame::{FrameTracker, Opcode, Step, Violation};

/// What became of a part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// It goes on.
    Pass(&'a [u8]),
    /// It is part of a frame that is being taken out.
    Taken,
    /// A frame was taken out: its kind, its unmasked payload, and the frame as it came.
    Frame(Opcode, Vec<u8>, Vec<u8>),
}

/// Collects the control frames that are wanted; each is at most 139 bytes.
#[derive(Debug)]
pub(crate) struct Sieve {
    frame: Vec<u8>,
    /// Whether the frame under way is taken; undecided between frames.
    taking: Option<bool>,
}

impl Sieve {
    /// A frame that is already under way in `tracker` passes.
    pub(crate) fn new(tracker: &FrameTracker) -> Self {
        Self {
            frame: Vec::new(),
            taking: if tracker.at_frame_boundary() {
                None
            } else {
                Some(false)
            },
        }
    }

    /// Follows `bytes` to the end of the frame under way; `wanted` says which kinds are taken.
    pub(crate) fn next<'a>(
        &mut self,
        tracker: &mut FrameTracker,
        bytes: &'a [u8],
        wanted: impl Fn(Opcode) -> bool,
    ) -> Result<(usize, Piece<'a>), Violation> {
        let (used, step) = tracker.next(bytes)?;
        let opcode = match step {
            Step::FrameEnd(opcode) => Some(opcode),
            Step::Inside => tracker.opcode(),
        };
        let taking = *self.taking.get_or_insert_with(|| opcode.is_some_and(wanted));
        let ended = matches!(step, Step::FrameEnd(_));
        if ended {
            self.taking = None;
        }
        if !taking {
            return Ok((used, Piece::Pass(&bytes[..used])));
        }
        self.frame.extend_from_slice(&bytes[..used]);
        let (true, Some(opcode)) = (ended, opcode) else {
            return Ok((used, Piece::Taken));
        };
        let raw = std::mem::take(&mut self.frame);
        Ok((used, Piece::Frame(opcode, payload(tracker, &raw), raw)))
    }

    /// What was taken of a frame that has not ended: it has to go on after all.
    pub(crate) fn into_partial(self) -> Vec<u8> {
        self.frame
    }
}

fn payload(tracker: &FrameTracker, raw: &[u8]) -> Vec<u8> {
    let masked = raw[1] & 0x80 != 0;
    let mut payload = raw[tracker.header_len()..].to_vec();
    if masked {
        let mask = tracker.mask();
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::{super::frame::Sender, *};

    #[test]
    fn a_ping_is_taken_out_of_the_middle_of_a_message_however_it_is_cut() {
        let ping = [0x89, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
        let first = [0x01, 0x81, 0, 0, 0, 0, b'a'];
        let last = [0x80, 0x81, 0, 0, 0, 0, b'b'];
        let stream = [&first[..], &ping, &last].concat();
        for cut in 1..stream.len() {
            let mut tracker = FrameTracker::new(Sender::Client, false, 0);
            let mut sieve = Sieve::new(&tracker);
            let (mut passed, mut taken) = (Vec::new(), Vec::new());
            for mut part in stream.chunks(cut) {
                while !part.is_empty() {
                    let (used, piece) = sieve.next(&mut tracker, part, |o| o == Opcode::Ping).unwrap();
                    match piece {
                        Piece::Pass(bytes) => passed.extend_from_slice(bytes),
                        Piece::Frame(Opcode::Ping, payload, raw) => taken.push((payload, raw)),
                        Piece::Frame(..) | Piece::Taken => {}
                    }
                    part = &part[used..];
                }
            }
            assert_eq!(passed, [&first[..], &last].concat(), "cut at {cut}");
            assert_eq!(taken, [(b"hi".to_vec(), ping.to_vec())], "cut at {cut}");
        }
    }
}
