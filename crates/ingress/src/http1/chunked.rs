//! Follows a chunked body, RFC 9112 section 7.1, strictly, so that both sides agree where it ends.
//!
//! The bytes are forwarded as they came, so nothing may pass that another parser could read differently: sizes
//! are plain hexadecimal, lines end in CR LF, chunk extensions are refused from clients.

/// The body is not a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed")]
pub(crate) struct BadChunk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// Follows one chunked body.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    left: u64,
    data: u64,
    trailer_bytes: u32,
    extensions: bool,
}

/// What a call of [`Chunked::follow`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Bytes that belong to the body.
    pub(crate) used: usize,
    /// Of these, bytes up to and with the line of the last chunk's size: without the trailers.
    pub(crate) without_trailers: usize,
    /// The body ended.
    pub(crate) done: bool,
}

/// More than this in trailers is no message any more.
const TRAILER_BYTES_MAX: u32 = 16 * 1024;

impl Chunked {
    /// `extensions`: whether chunk extensions are let through.
    pub(crate) fn new(extensions: bool) -> Self {
        Self {
            state: State::Size { digits: 0 },
            left: 0,
            data: 0,
            trailer_bytes: 0,
            extensions,
        }
    }

    /// Bytes of content so far.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data
    }

    /// Follows `bytes` to the body's end or their own.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Result<Followed, BadChunk> {
        self.decode(bytes, |_| {})
    }

    /// As [`Self::follow`], and hands over the content.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        mut content: impl FnMut(&[u8]),
    ) -> Result<Followed, BadChunk> {
        let mut at = 0;
        let mut without_trailers = if self.in_trailers() { Some(0) } else { None };
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here = self.left.min((bytes.len() - at) as u64) as usize;
                content(&bytes[at..at + here]);
                at += here;
                self.left -= here as u64;
                self.data += here as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
            if without_trailers.is_none() && self.in_trailers() {
                without_trailers = Some(at);
            }
        }
        Ok(Followed {
            used: at,
            without_trailers: without_trailers.unwrap_or(at),
            done: self.state == State::Done,
        })
    }

    fn in_trailers(&self) -> bool {
        matches!(
            self.state,
            State::TrailerStart | State::Trailer | State::TrailerLf | State::EndLf | State::Done
        )
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = (byte as char).to_digit(16).ok_or(BadChunk)?;
                self.left = (self.left << 4) | u64::from(digit);
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 1.. }, b'\r') | (State::Extension, b'\r') => State::SizeLf,
            (State::Size { digits: 1.. }, b';') if self.extensions => State::Extension,
            (State::Extension, b'\n' | 0) => return Err(BadChunk),
            (State::Extension, _) => self.count(State::Extension)?,
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::Trailer, b'\n' | 0) => return Err(BadChunk),
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, _) => self.count(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(BadChunk),
        })
    }

    fn count(&mut self, next: State) -> Result<State, BadChunk> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            Err(BadChunk)
        } else {
            Ok(next)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_reading_is_possible() {
        for (body, valid) in [
            ("5\r\nhello\r\n0\r\n\r\n", true),
            ("5\r\nhello\r\n0\r\nX: y\r\n\r\n", true),
            ("A\r\n0123456789\r\n0\r\n\r\n", true),
            ("5\nhello\n0\n\n", false),
            ("5 \r\nhello\r\n0\r\n\r\n", false),
            ("0x5\r\nhello\r\n0\r\n\r\n", false),
            ("+5\r\nhello\r\n0\r\n\r\n", false),
            ("-1\r\nhello\r\n0\r\n\r\n", false),
            ("5;a=b\r\nhello\r\n0\r\n\r\n", false),
            ("\r\nhello\r\n0\r\n\r\n", false),
            ("5\r\nhelloX\r\n0\r\n\r\n", false),
            ("5\r\nhello\n0\r\n\r\n", false),
            ("10000000000000000\r\nx", false),
            ("0\r\nX: y\n\r\n", false),
        ] {
            let mut chunked = Chunked::new(false);
            let result = chunked.follow(body.as_bytes());
            assert_eq!(
                result.is_ok_and(|f| f.done && f.used == body.len()),
                valid,
                "{body:?}"
            );
        }
    }

    #[test]
    fn trailers_are_told_apart() {
        let body = b"1\r\nx\r\n0\r\nForeshift-Session: 0\r\n\r\nGET";
        let followed = Chunked::new(false).follow(body).unwrap();
        assert_eq!(&body[..followed.without_trailers], b"1\r\nx\r\n0\r\n");
        assert_eq!(&body[followed.used..], b"GET");
    }

    proptest! {
        #[test]
        fn content_survives_any_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
            cut in 1usize..40,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                body.extend(chunk);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            let mut chunked = Chunked::new(false);
            let mut content = Vec::new();
            let mut done = false;
            for part in body.chunks(cut) {
                let followed = chunked.decode(part, |c| content.extend_from_slice(c)).unwrap();
                prop_assert_eq!(followed.used, part.len());
                done = followed.done;
            }
            prop_assert!(done);
            prop_assert_eq!(content, chunks.concat());
        }
    }
}
