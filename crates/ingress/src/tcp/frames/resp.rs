//! RESP2 and RESP3, as Redis and Valkey speak them: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! Values within values are only counted, so that nesting costs no stack.

use memchr::memchr;

use super::{Step, Violation};

/// The shortest value, `_\r\n`.
const VALUE_MIN: u64 = 3;

/// Where one value stands.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Resp {
    state: State,
    /// Values that are still to come before the outermost one has ended; 0 between two.
    values: u64,
    /// The outermost value's type, that of what attributes are of.
    kind: u8,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// At a value's first byte.
    #[default]
    Begin,
    /// Within text, up to its line's end.
    Text,
    /// Within the number behind a type.
    Number {
        kind: u8,
        number: Option<u64>,
        negative: bool,
    },
    /// At the line feed behind a number.
    NumberEnd { kind: u8, number: u64, negative: bool },
    /// So many bytes of content are left, its line end included.
    Bytes(u64),
}

impl Resp {
    /// Goes on to the end of the outermost value, or of `bytes`.
    pub(super) fn next(&mut self, bytes: &[u8], max: u64) -> Result<(usize, Step), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            at += self.step(&bytes[at..], max)?;
            if self.values == 0 {
                return Ok((at, Step::End(self.kind)));
            }
        }
        Ok((at, Step::Inside))
    }

    /// Uses some bytes, at least one.
    fn step(&mut self, bytes: &[u8], max: u64) -> Result<usize, Violation> {
        match self.state {
            State::Begin => {
                self.begin(bytes[0]);
                Ok(1)
            }
            State::Text => Ok(match memchr(b'\n', bytes) {
                Some(end) => {
                    self.value_ended();
                    end + 1
                }
                None => bytes.len(),
            }),
            State::Number {
                kind,
                number,
                negative,
            } => {
                self.state = digit(kind, number, negative, bytes[0], max)?;
                Ok(1)
            }
            State::NumberEnd { .. } if bytes[0] != b'\n' => {
                Err(Violation::Malformed("a length does not end with CR LF"))
            }
            State::NumberEnd {
                kind,
                number,
                negative,
            } => {
                self.sized(kind, number, negative, max)?;
                Ok(1)
            }
            State::Bytes(left) => {
                let used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                match left - used as u64 {
                    0 => self.value_ended(),
                    left => self.state = State::Bytes(left),
                }
                Ok(used)
            }
        }
    }

    fn begin(&mut self, kind: u8) {
        if self.values == 0 {
            self.values = 1;
            self.kind = kind;
        } else if self.kind == b'|' && self.values == 1 {
            // Attributes come before the value that they are of.
            self.kind = kind;
        }
        self.state = match kind {
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|' => State::Number {
                kind,
                number: None,
                negative: false,
            },
            // An empty line, which Redis skips.
            b'\n' => {
                return self.value_ended();
            }
            // Strings, errors, numbers, and commands as plain text.
            _ => State::Text,
        };
    }

    /// A number behind a type has ended.
    fn sized(&mut self, kind: u8, number: u64, negative: bool, max: u64) -> Result<(), Violation> {
        self.state = State::Begin;
        let number = if negative { 0 } else { number };
        match kind {
            b'$' | b'=' | b'!' if negative => self.value_ended(),
            b'$' | b'=' | b'!' => {
                if number.saturating_add(2) >= max {
                    return Err(Violation::TooLong(max));
                }
                self.state = State::Bytes(number + 2);
            }
            _ => {
                let inner = match kind {
                    b'%' | b'|' => number.saturating_mul(2),
                    _ => number,
                };
                let values = self.values.saturating_add(inner);
                if inner > 0 && values.saturating_mul(VALUE_MIN) > max {
                    return Err(Violation::TooLong(max));
                }
                self.values = values;
                if kind != b'|' {
                    self.value_ended();
                }
            }
        }
        Ok(())
    }

    fn value_ended(&mut self) {
        self.values -= 1;
        self.state = State::Begin;
    }
}

fn digit(kind: u8, number: Option<u64>, negative: bool, byte: u8, max: u64) -> Result<State, Violation> {
    Ok(match (byte, number) {
        (b'-', None) if !negative => State::Number {
            kind,
            number,
            negative: true,
        },
        (b'0'..=b'9', _) => {
            let number = number
                .unwrap_or(0)
                .checked_mul(10)
                .and_then(|n| n.checked_add(u64::from(byte - b'0')))
                .ok_or(Violation::TooLong(max))?;
            State::Number {
                kind,
                number: Some(number),
                negative,
            }
        }
        (b'\r', Some(number)) => State::NumberEnd {
            kind,
            number,
            negative,
        },
        _ => return Err(Violation::Malformed("a length is not a number")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_type_is_told() {
        for (bytes, kind) in [
            ("+OK\r\n", b'+'),
            ("-ERR no\r\n", b'-'),
            (">2\r\n+message\r\n$1\r\nx\r\n", b'>'),
            ("*2\r\n-ERR\r\n>0\r\n", b'*'),
            ("|1\r\n+key\r\n*1\r\n:1\r\n-ERR\r\n", b'-'),
            ("|1\r\n+a\r\n+b\r\n|1\r\n+c\r\n+d\r\n:1\r\n", b':'),
            ("*0\r\n", b'*'),
            ("%1\r\n+a\r\n%0\r\n", b'%'),
            ("PING\r\n", b'P'),
        ] {
            let whole = Resp::default().next(bytes.as_bytes(), 1000);
            assert_eq!(whole, Ok((bytes.len(), Step::End(kind))), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bytes in [
            "*x\r\n", "$\r\n", "$1\n", "$1\rx", "$?\r\n", "*--1\r\n", "*1-\r\n", "%\r\n",
        ] {
            let refused = Resp::default().next(bytes.as_bytes(), 1000);
            assert!(matches!(refused, Err(Violation::Malformed(_))), "{bytes:?}");
        }
    }
}
