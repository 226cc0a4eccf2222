//! Answers, and how they are written in both versions of the protocol.

use bytes::{BufMut, Bytes, BytesMut};

/// The version of the protocol that a client asked for with `HELLO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Protocol {
    /// RESP2: what every client begins with.
    #[default]
    Two,
    /// RESP3, which knows maps.
    Three,
}

impl Protocol {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// An answer. Cheap to clone as far as its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// A word such as `OK`.
    Status(&'static str),
    /// A prefix in capitals and a text.
    Error(String),
    Int(i64),
    Bytes(Bytes),
    /// Not there.
    Nil,
    Array(Vec<Reply>),
    /// Keys and values; in RESP2 an array of both in turn.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    pub(super) const OK: Self = Self::Status("OK");

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into())
    }

    pub(super) fn flag(is: bool) -> Self {
        Self::Int(is.into())
    }

    /// A count, which never is so large that it does not fit.
    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl<T: Into<Reply>> From<Option<T>> for Reply {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Nil, Into::into)
    }
}

/// Writes answers piece by piece, so that the connection can be given what there is before the next one.
#[derive(Debug)]
pub(super) struct Pieces {
    protocol: Protocol,
    /// What is left of the aggregates that are being written, the innermost last.
    open: Vec<std::vec::IntoIter<Reply>>,
}

impl Pieces {
    /// Begins an answer.
    pub(super) fn of(reply: Reply, protocol: Protocol) -> Self {
        let open = vec![vec![reply].into_iter()];
        Self { protocol, open }
    }

    /// Writes on until `out` has `enough` bytes; true once all is written.
    pub(super) fn write(&mut self, out: &mut BytesMut, enough: usize) -> bool {
        while let Some(innermost) = self.open.last_mut() {
            if out.len() >= enough {
                return false;
            }
            match innermost.next() {
                Some(reply) => self.begin(reply, out),
                None => drop(self.open.pop()),
            }
        }
        true
    }

    fn begin(&mut self, reply: Reply, out: &mut BytesMut) {
        match reply {
            Reply::Status(word) => line(out, b'+', word.as_bytes()),
            Reply::Error(text) => line(out, b'-', one_line(&text).as_bytes()),
            Reply::Int(number) => head(out, b':', number),
            Reply::Bytes(bytes) => {
                head(out, b'$', bytes.len() as i64);
                out.extend_from_slice(&bytes);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Nil => out.extend_from_slice(match self.protocol {
                Protocol::Two => b"$-1\r\n",
                Protocol::Three => b"_\r\n",
            }),
            Reply::Array(replies) => {
                head(out, b'*', replies.len() as i64);
                self.open.push(replies.into_iter());
            }
            Reply::Map(pairs) => {
                match self.protocol {
                    Protocol::Two => head(out, b'*', pairs.len() as i64 * 2),
                    Protocol::Three => head(out, b'%', pairs.len() as i64),
                }
                let both = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                self.open.push(both.collect::<Vec<_>>().into_iter());
            }
        }
    }
}

fn head(out: &mut BytesMut, kind: u8, number: i64) {
    out.put_u8(kind);
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        out.put_u8(b'-');
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut BytesMut, kind: u8, text: &[u8]) {
    out.put_u8(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// An error is one line, whatever it quotes.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_protocol::{resp2, resp3};

    fn written(reply: &Reply, protocol: Protocol, enough: usize) -> (BytesMut, usize) {
        let mut pieces = Pieces::of(reply.clone(), protocol);
        let (mut all, mut parts) = (BytesMut::new(), 0);
        loop {
            let mut out = BytesMut::new();
            let is_done = pieces.write(&mut out, enough);
            all.extend_from_slice(&out);
            parts += 1;
            if is_done {
                return (all, parts);
            }
        }
    }

    #[test]
    fn answers_are_written_as_each_version_has_them() {
        let pair = || (Reply::text("a\r\nb"), Reply::Int(-12));
        for (reply, two, three) in [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (
                Reply::Int(i64::MIN),
                ":-9223372036854775808\r\n",
                ":-9223372036854775808\r\n",
            ),
            (Reply::Int(0), ":0\r\n", ":0\r\n"),
            (Reply::text(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Nil, "$-1\r\n", "_\r\n"),
            (Reply::Array(vec![]), "*0\r\n", "*0\r\n"),
            (
                Reply::Array(vec![Reply::Nil, Reply::Map(vec![pair()]), Reply::OK]),
                "*3\r\n$-1\r\n*2\r\n$4\r\na\r\nb\r\n:-12\r\n+OK\r\n",
                "*3\r\n_\r\n%1\r\n$4\r\na\r\nb\r\n:-12\r\n+OK\r\n",
            ),
        ] {
            for enough in [1, 8, 1 << 20] {
                assert_eq!(written(&reply, Protocol::Two, enough).0, two, "{reply:?}");
                assert_eq!(written(&reply, Protocol::Three, enough).0, three, "{reply:?}");
            }
        }
    }

    #[test]
    fn another_hand_reads_what_is_written() {
        let pairs = (0..50).map(|n| (Reply::text(format!("k{n}")), Reply::Int(n)));
        let reply = Reply::Array(vec![
            Reply::Map(pairs.collect()),
            Reply::Nil,
            Reply::error("ERR no"),
        ]);
        let (two, _) = written(&reply, Protocol::Two, 64);
        let (frame, used) = resp2::decode::decode(&two).unwrap().unwrap();
        assert_eq!(used, two.len());
        let resp2::types::OwnedFrame::Array(parts) = frame else {
            panic!("{frame:?}")
        };
        assert!(matches!(&parts[0], resp2::types::OwnedFrame::Array(both) if both.len() == 100));
        let (three, _) = written(&reply, Protocol::Three, 64);
        let (frame, used) = resp3::decode::complete::decode(&three).unwrap().unwrap();
        assert_eq!(used, three.len());
        let resp3::types::OwnedFrame::Array { data, .. } = frame else {
            panic!("{frame:?}")
        };
        assert!(matches!(&data[0], resp3::types::OwnedFrame::Map { data, .. } if data.len() == 50));
    }

    #[test]
    fn a_large_answer_comes_in_parts() {
        let reply = Reply::Array(vec![Reply::Bytes(vec![b'x'; 100].into()); 100]);
        let (all, parts) = written(&reply, Protocol::Two, 1000);
        assert_eq!(all.len(), 6 + 100 * 108);
        assert!(parts > 9, "{parts}");
    }
}
