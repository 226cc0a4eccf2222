//! Follows WebSocket frames as they pass, without keeping or touching a payload byte.
//!
//! A relay needs only to know where frames and messages end: that is where a connection can be switched.
//! So frames go through as they came, still masked, and this follows their headers across reads of any size.
//! What RFC 6455 forbids is found here, before it reaches the other side.

/// What a frame carries, RFC 6455 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A breach of RFC 6455, with the close code it ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame from the client is not masked, or one from the node is")]
    Masking,
    #[error("an opcode or a reserved bit that was not negotiated")]
    Reserved,
    #[error("a control frame that is fragmented or longer than 125 bytes")]
    Control,
    #[error("a continuation without a message, or a message inside another")]
    Fragmentation,
    #[error("a length that is not written in the shortest way")]
    Length,
    #[error("a message over the limit")]
    TooBig,
}

impl Violation {
    /// The status code of the close frame, RFC 6455 section 7.4.1.
    pub(crate) fn close_code(self) -> u16 {
        match self {
            Self::TooBig => 1009,
            _ => 1002,
        }
    }
}

/// What [`FrameTracker::next`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The bytes ended inside a frame.
    Inside,
    /// A frame ended.
    FrameEnd(Opcode),
}

/// Which side of a connection sends what is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Its frames are masked.
    Client,
    /// Its frames are not.
    Node,
}

/// Follows one direction of one WebSocket.
#[derive(Debug, Clone)]
pub(crate) struct FrameTracker {
    header: [u8; 14],
    have: u8,
    opcode: Opcode,
    fin: bool,
    in_payload: bool,
    in_message: bool,
    sender: Sender,
    compressed: bool,
    left: u64,
    message_bytes: u64,
    message_bytes_max: u64,
    messages: u64,
}

impl FrameTracker {
    /// `compressed`: permessage-deflate was negotiated. `message_bytes_max`: 0 is without limit.
    pub(crate) fn new(sender: Sender, compressed: bool, message_bytes_max: u64) -> Self {
        Self {
            header: [0; 14],
            have: 0,
            opcode: Opcode::Continuation,
            fin: true,
            in_payload: false,
            in_message: false,
            sender,
            compressed,
            left: 0,
            message_bytes: 0,
            message_bytes_max: if message_bytes_max == 0 {
                u64::MAX
            } else {
                message_bytes_max
            },
            messages: 0,
        }
    }

    /// Data messages that ended so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Between two messages, and between two frames: the connection can be switched here.
    pub(crate) fn at_message_boundary(&self) -> bool {
        self.at_frame_boundary() && !self.in_message
    }

    /// Between two frames: a control frame can be put in here.
    pub(crate) fn at_frame_boundary(&self) -> bool {
        !self.in_payload && self.have == 0
    }

    /// The kind of the frame that is under way or just ended, once its first byte was seen.
    pub(crate) fn opcode(&self) -> Option<Opcode> {
        if self.in_payload {
            return Some(self.opcode);
        }
        if self.have == 0 {
            None
        } else {
            Opcode::from_bits(self.header[0] & 0x0f)
        }
    }

    /// The kind of the frame that ended last.
    pub(crate) fn last_opcode(&self) -> Opcode {
        self.opcode
    }

    /// One for another connection with the same settings.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.sender, self.compressed, self.message_bytes_max)
    }

    /// The mask of the frame that is under way or just ended.
    pub(crate) fn mask(&self) -> [u8; 4] {
        let at = self.header_len() - 4;
        [
            self.header[at],
            self.header[at + 1],
            self.header[at + 2],
            self.header[at + 3],
        ]
    }

    /// Length of the header of the frame that is under way or just ended; at least two bytes of it were seen.
    pub(crate) fn header_len(&self) -> usize {
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if self.header[1] & 0x80 != 0 { 4 } else { 0 }
    }

    /// Follows `bytes` to the end of the frame under way, or to their own end. Returns how many bytes that were.
    #[inline]
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Step), Violation> {
        let mut used = 0;
        if !self.in_payload {
            while !self.header_complete() {
                let Some(byte) = bytes.get(used) else {
                    return Ok((used, Step::Inside));
                };
                self.header[usize::from(self.have)] = *byte;
                self.have += 1;
                used += 1;
                if self.have == 2 {
                    self.check_start()?;
                }
            }
            self.begin_payload()?;
        }
        let here = self.left.min((bytes.len() - used) as u64);
        used += here as usize;
        self.left -= here;
        if self.left > 0 {
            return Ok((used, Step::Inside));
        }
        self.end_frame();
        Ok((used, Step::FrameEnd(self.opcode)))
    }

    fn header_complete(&self) -> bool {
        self.have >= 2 && usize::from(self.have) >= self.header_len()
    }

    /// Checks the first two bytes of a frame.
    fn check_start(&mut self) -> Result<(), Violation> {
        let (first, second) = (self.header[0], self.header[1]);
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::Reserved)?;
        let fin = first & 0x80 != 0;
        let rsv1 = first & 0x40 != 0;
        let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x30 != 0 || (rsv1 && !(self.compressed && starts_message)) {
            return Err(Violation::Reserved);
        }
        if (second & 0x80 != 0) != (self.sender == Sender::Client) {
            return Err(Violation::Masking);
        }
        if opcode.is_control() && (!fin || second & 0x7f > 125) {
            return Err(Violation::Control);
        }
        if (opcode == Opcode::Continuation && !self.in_message) || (starts_message && self.in_message) {
            return Err(Violation::Fragmentation);
        }
        self.opcode = opcode;
        self.fin = fin;
        Ok(())
    }

    fn begin_payload(&mut self) -> Result<(), Violation> {
        let h = &self.header;
        let length = match h[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([h[2], h[3]])),
            127 => u64::from_be_bytes([h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9]]),
            short => u64::from(short),
        };
        let shortest = match h[1] & 0x7f {
            126 => length > 125,
            127 => length > 0xffff && length >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(Violation::Length);
        }
        if !self.opcode.is_control() {
            let so_far = if self.in_message { self.message_bytes } else { 0 };
            self.message_bytes = so_far.saturating_add(length);
            if self.message_bytes > self.message_bytes_max {
                return Err(Violation::TooBig);
            }
            self.in_message = true;
        }
        self.in_payload = true;
        self.left = length;
        Ok(())
    }

    fn end_frame(&mut self) {
        self.in_payload = false;
        self.have = 0;
        if !self.opcode.is_control() && self.fin {
            self.in_message = false;
            self.messages += 1;
        }
    }
}

/// Writes a control frame. `payload` is at most 125 bytes. Towards a node it is masked with zeros: the mask
/// protects caches between browsers and servers from chosen bytes (RFC 6455 section 10.3), and here there is
/// neither.
pub(crate) fn write_control(out: &mut Vec<u8>, to: Sender, opcode: u8, payload: &[u8]) {
    debug_assert!(payload.len() <= 125, "control frames carry at most 125 bytes");
    out.push(0x80 | opcode);
    match to {
        // The frame goes to the node, so it looks like one of the client's.
        Sender::Node => {
            out.push(0x80 | payload.len() as u8);
            out.extend_from_slice(&[0; 4]);
        }
        Sender::Client => out.push(payload.len() as u8),
    }
    out.extend_from_slice(payload);
}

/// Writes a whole text message for a client.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(0x81);
    match text.len() {
        short @ 0..=125 => out.push(short as u8),
        long => {
            debug_assert!(long <= 0xffff, "our own messages are short");
            out.push(126);
            out.extend((long as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// A close frame's payload: code and reason.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload.truncate(125);
    payload
}

pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(mask | length as u8),
            126..=0xffff => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([1, 2, 3, 4]);
        }
        bytes.extend(std::iter::repeat_n(b'x', length));
        bytes
    }

    fn follow(tracker: &mut FrameTracker, mut bytes: &[u8]) -> Result<(), Violation> {
        while !bytes.is_empty() {
            let (used, _) = tracker.next(bytes)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    #[test]
    fn each_breach_has_its_close_code() {
        let client = |bytes: Vec<u8>| (bytes, Sender::Client);
        for ((bytes, sender), code, name) in [
            (client(frame(0x82, false, 3)), 1002, "unmasked from a client"),
            ((frame(0x82, true, 3), Sender::Node), 1002, "masked from a node"),
            (client(frame(0x83, true, 3)), 1002, "reserved opcode"),
            (
                client(frame(0xc2, true, 3)),
                1002,
                "compressed without negotiation",
            ),
            (client(frame(0xa2, true, 3)), 1002, "rsv2"),
            (client(frame(0x09, true, 3)), 1002, "fragmented ping"),
            (client(frame(0x89, true, 126)), 1002, "long ping"),
            (client(frame(0x80, true, 3)), 1002, "continuation of nothing"),
            (
                client([frame(0x02, true, 3), frame(0x82, true, 3)].concat()),
                1002,
                "message in a message",
            ),
            (
                client(vec![0x82, 0xfe, 0, 5, 0, 0, 0, 0]),
                1002,
                "16 bits for a short length",
            ),
            (
                client(vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                1002,
                "sign bit in the length",
            ),
            (client(frame(0x82, true, 2000)), 1009, "over the limit"),
            (
                client([frame(0x02, true, 600), frame(0x80, true, 600)].concat()),
                1009,
                "over the limit in parts",
            ),
        ] {
            let mut tracker = FrameTracker::new(sender, false, 1000);
            let violation = follow(&mut tracker, &bytes).expect_err(name);
            assert_eq!(violation.close_code(), code, "{name}");
        }
    }

    proptest! {
        /// However the bytes are cut into reads, the same messages and boundaries are seen.
        #[test]
        fn reads_of_any_size_see_the_same_frames(
            lengths in proptest::collection::vec(0usize..70_000, 1..8),
            cuts in proptest::collection::vec(1usize..3000, 1..50),
        ) {
            let mut bytes = Vec::new();
            for (i, length) in lengths.iter().enumerate() {
                bytes.extend(frame(0x02, true, *length));           // first fragment
                if i % 2 == 0 { bytes.extend(frame(0x89, true, i)); } // a ping between the fragments
                bytes.extend(frame(0x80, true, length / 2));        // last fragment
            }
            let mut tracker = FrameTracker::new(Sender::Client, false, 0);
            let (mut at, mut ends) = (0, 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                while at < end {
                    let (used, step) = tracker.next(&bytes[at..end]).expect("valid frames");
                    at += used;
                    if step != Step::Inside && tracker.at_message_boundary() { ends += 1; }
                }
                if at == bytes.len() { break; }
            }
            prop_assert_eq!(tracker.messages(), lengths.len() as u64);
            prop_assert_eq!(ends, lengths.len());
            prop_assert!(tracker.at_message_boundary());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = follow(&mut FrameTracker::new(Sender::Client, true, 1 << 20), &bytes);
            let _ = follow(&mut FrameTracker::new(Sender::Node, false, 0), &bytes);
        }
    }
}
