//! Takes a client's control messages out of its frames, while the rest passes.
//!
//! Only a text message in one frame that begins with U+001E is kept back until it is whole; of all others nothing is. It
//! follows the frames as they come, with a tracker of its own: the pair's tracker sees only what passes.

use super::frame::{FrameTracker, Step, Violation};
use crate::instruct::control::{MARK, MESSAGE_MAX, Said, read};

/// One whole text frame: FIN and the opcode, no reserved bit.
const WHOLE_TEXT: u8 = 0x81;

/// Listens to one client.
pub(super) struct Whisper {
    tracker: FrameTracker,
    frame: Vec<u8>,
    /// Whether the frame under way is kept back; undecided at its beginning.
    keeping: Option<bool>,
}

impl Whisper {
    /// One that begins where `tracker` is.
    pub(super) fn new(tracker: &FrameTracker) -> Self {
        Self {
            tracker: tracker.clone(),
            frame: Vec::new(),
            keeping: (!tracker.at_frame_boundary()).then_some(false),
        }
    }

    /// Follows `bytes` to the end of the frame under way. What passes is added to `out`.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Said>), Violation> {
        let mut used = 0;
        let mut ended = false;
        // Byte by byte until it is decided: at most 15.
        while self.keeping.is_none() && !ended && used < bytes.len() {
            ended = self.tracker.next(&bytes[used..=used])?.1 != Step::Inside;
            self.frame.push(bytes[used]);
            used += 1;
            self.keeping = self.decide();
        }
        if self.keeping == Some(false) {
            out.append(&mut self.frame);
        }
        if !ended && used < bytes.len() {
            let (more, step) = self.tracker.next(&bytes[used..])?;
            let part = &bytes[used..used + more];
            match self.keeping {
                Some(true) => self.frame.extend_from_slice(part),
                _ => out.extend_from_slice(part),
            }
            used += more;
            ended = step != Step::Inside;
        }
        if !ended {
            return Ok((used, None));
        }
        self.keeping = None;
        let frame = std::mem::take(&mut self.frame);
        let said = (!frame.is_empty()).then(|| read(&self.payload(&frame))).flatten();
        if said.is_none() {
            out.extend(frame);
        }
        Ok((used, said))
    }

    /// What is kept back of a frame that has not ended.
    #[cfg(test)]
    pub(super) fn into_partial(self) -> Vec<u8> {
        self.frame
    }

    /// Between two messages.
    #[cfg(test)]
    pub(super) fn at_message_boundary(&self) -> bool {
        self.tracker.at_message_boundary()
    }

    fn decide(&self) -> Option<bool> {
        if self.frame[0] != WHOLE_TEXT {
            return Some(false);
        }
        let length = self.frame.get(1)? & 0x7f;
        if length == 0 || length == 127 {
            return Some(false);
        }
        let header = self.tracker.header_len();
        let first = self.frame.get(header)? ^ self.tracker.mask()[0];
        let long =
            length == 126 && usize::from(u16::from_be_bytes([self.frame[2], self.frame[3]])) > MESSAGE_MAX;
        Some(first == MARK && !long)
    }

    fn payload(&self, frame: &[u8]) -> Vec<u8> {
        let mask = self.tracker.mask();
        let payload = frame[self.tracker.header_len()..].iter();
        payload
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }
}

impl std::fmt::Debug for Whisper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Whisper({:?}, {} bytes)", self.keeping, self.frame.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::frame::Sender, *};

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            n @ 0..=125 => bytes.push(0x80 | n as u8),
            n => {
                bytes.push(0x80 | 126);
                bytes.extend((n as u16).to_be_bytes());
            }
        }
        let key = [7, 11, 13, 17];
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
        bytes
    }

    /// What passes and what is said, of a stream that comes in parts of `cut` bytes.
    fn listen(stream: &[u8], cut: usize) -> (Vec<u8>, Vec<Said>) {
        let mut whisper = Whisper::new(&FrameTracker::new(Sender::Client, false, 0));
        let (mut out, mut said) = (Vec::new(), Vec::new());
        for mut part in stream.chunks(cut) {
            while !part.is_empty() {
                let (used, heard) = whisper.next(part, &mut out).unwrap();
                said.extend(heard);
                part = &part[used..];
            }
        }
        assert!(whisper.at_message_boundary());
        assert!(whisper.into_partial().is_empty());
        (out, said)
    }

    #[test]
    fn control_messages_are_taken_out_however_the_bytes_are_cut() {
        let refused = frame(0x81, b"\x1e{\"foreshift\":\"refused\",\"reason\":\"no\"}");
        let long = b"\x1e{\"foreshift\":\"moved\",\"token\":\"".to_vec();
        let moved = frame(0x81, &[&long[..], &[b't'; 300], b"\"}"].concat());
        let others = [
            frame(0x81, b"hello"),
            frame(0x81, b""),
            frame(0x81, b"\x1erecord"),
            frame(0x82, b"\x1e{\"foreshift\":\"refused\"}"),
            frame(0x89, b"\x1e"),
            frame(0x01, b"\x1e{\"foreshift\":"),
            frame(0x80, b"\"refused\"}"),
            frame(0x81, &[0x1e; 5000]),
        ];
        let stream = [
            &others[0][..],
            &refused,
            &others[1..].concat(),
            &moved,
            &others[0],
        ]
        .concat();
        for cut in [1, 2, 3, 5, 7, 16, 100, 1000, stream.len()] {
            let (out, said) = listen(&stream, cut);
            assert_eq!(out, [&others.concat()[..], &others[0]].concat(), "cut at {cut}");
            let reason = "no".into();
            let token = "t".repeat(300);
            assert_eq!(
                said,
                [Said::Refused { reason }, Said::Moved { token }],
                "cut at {cut}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_application_gets_all_its_own_messages(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10),
            cut in 1usize..400,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| frame(0x81, m)).collect();
            let (out, said) = listen(&stream, cut);
            prop_assert_eq!(out, stream);
            prop_assert!(said.is_empty());
        }
    }
}
