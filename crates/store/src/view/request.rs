//! Reads requests of the Redis protocol: arrays of bulk strings, and the plain lines that people type.
//!
//! Own code, as this is what strangers' bytes reach first: it goes on where it stopped, so that a command in many pieces is not
//! read anew with each; it nests nothing; and it makes room for what came, never for what was announced. What is too large for a
//! value is read past and refused with a text, instead of closing the connection.

mod line;

use bytes::{Buf, Bytes, BytesMut};

/// A number with its sign, CR and LF is not longer.
const NUMBER_MAX: usize = 32;
/// Longest line that is typed.
const LINE_MAX: usize = 64 * 1024;

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Arguments of a command, its name included.
    pub arguments: usize,
    /// Bytes of one argument; longer ones are read past.
    pub argument_bytes: u64,
    /// Bytes of an argument that is read past; a longer one closes the connection.
    pub skipped_bytes: u64,
    /// Bytes of a command's arguments together; what is more is read past.
    pub command_bytes: u64,
}

impl RequestLimits {
    /// Of clients that have not said who they are.
    pub const STRANGER: Self = Self {
        arguments: 10,
        argument_bytes: 16 * 1024,
        skipped_bytes: 16 * 1024,
        command_bytes: 16 * 1024,
    };
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A command's name and arguments; at least the name.
    Command(Vec<Bytes>),
    /// A command with more than may be; it was read past.
    TooLarge {
        /// What it has, in bytes.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
}

impl Request {
    /// Bytes that are kept of it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Command(words) => words.iter().map(Bytes::len).sum(),
            Self::TooLarge { .. } => 0,
        }
    }
}

/// Bytes that are no request. Nothing after them can be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub struct Malformed(String);

impl Malformed {
    fn new(text: &str) -> Self {
        Self(text.into())
    }
}

/// Reads requests one after the other, from parts of any size.
#[derive(Debug, Default)]
pub struct Requests(Option<Command>);

/// A command that is being read.
#[derive(Debug)]
struct Command {
    arguments: Vec<Bytes>,
    /// Arguments that are to come.
    left: usize,
    /// Bytes of all arguments until now.
    bytes: u64,
    argument: Argument,
    too_large: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Argument {
    /// Its length comes next.
    Length,
    /// So many bytes, and CR LF.
    Take(usize),
    /// So many bytes are read past.
    Skip(u64),
}

impl Requests {
    /// The next request, taken from the front of `input`; `None` where it is not whole yet.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        limits: &RequestLimits,
    ) -> Result<Option<Request>, Malformed> {
        loop {
            if let Some(command) = &mut self.0 {
                if !command.go_on(input, limits)? {
                    return Ok(None);
                }
                return Ok(self.0.take().map(Command::request));
            }
            match input.first() {
                None => return Ok(None),
                Some(b'*') => match number(input, "multibulk")? {
                    None => return Ok(None),
                    // As Redis: nothing.
                    Some(..=0) => {}
                    Some(count) => self.0 = Some(Command::begin(count, limits)?),
                },
                Some(_) => match line::take(input)? {
                    None => return Ok(None),
                    Some(words) if words.is_empty() => {}
                    Some(words) => return Ok(Some(Request::Command(words))),
                },
            }
        }
    }

    /// Whether a request has begun and is not whole.
    pub fn is_inside(&self) -> bool {
        self.0.is_some()
    }
}

impl Command {
    fn begin(count: i64, limits: &RequestLimits) -> Result<Self, Malformed> {
        let left = usize::try_from(count).unwrap_or(usize::MAX);
        if left > limits.arguments {
            return Err(Malformed::new("invalid multibulk length"));
        }
        Ok(Self {
            arguments: Vec::new(),
            left,
            bytes: 0,
            argument: Argument::Length,
            too_large: None,
        })
    }

    /// Reads on; true once it is whole.
    fn go_on(&mut self, input: &mut BytesMut, limits: &RequestLimits) -> Result<bool, Malformed> {
        while self.left > 0 {
            match self.argument {
                Argument::Length => match length(input)? {
                    None => return Ok(false),
                    Some(length) => self.argument = self.argument_of(length, limits)?,
                },
                Argument::Take(length) => {
                    if input.len() < length + 2 {
                        return Ok(false);
                    }
                    if input[length..length + 2] != *b"\r\n" {
                        return Err(Malformed::new("an argument is longer than its length says"));
                    }
                    self.arguments.push(input.split_to(length).freeze());
                    input.advance(2);
                    self.ended();
                }
                Argument::Skip(left) => {
                    let here = left.min(input.len() as u64);
                    input.advance(here as usize);
                    self.argument = Argument::Skip(left - here);
                    if here < left {
                        return Ok(false);
                    }
                    self.ended();
                }
            }
        }
        Ok(true)
    }

    fn ended(&mut self) {
        self.left -= 1;
        self.argument = Argument::Length;
    }

    /// What to do with an argument of this length.
    fn argument_of(&mut self, length: u64, limits: &RequestLimits) -> Result<Argument, Malformed> {
        if length > limits.skipped_bytes {
            return Err(Malformed::new("invalid bulk length"));
        }
        self.bytes += length;
        if length > limits.argument_bytes {
            self.too_large.get_or_insert((length, limits.argument_bytes));
        } else if self.bytes > limits.command_bytes {
            let all = self.too_large.get_or_insert((0, limits.command_bytes));
            if all.1 == limits.command_bytes {
                all.0 = self.bytes;
            }
        }
        if self.too_large.is_none() {
            return Ok(Argument::Take(length as usize));
        }
        self.arguments = Vec::new();
        Ok(Argument::Skip(length + 2))
    }

    fn request(self) -> Request {
        match self.too_large {
            Some((bytes, limit)) => Request::TooLarge { bytes, limit },
            None => Request::Command(self.arguments),
        }
    }
}

/// The length of an argument, `$5`.
fn length(input: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    match input.first() {
        None => return Ok(None),
        Some(b'$') => {}
        Some(other) => {
            let text = format!("expected '$', got '{}'", other.escape_ascii());
            return Err(Malformed(text));
        }
    }
    let Some(length) = number(input, "bulk")? else {
        return Ok(None);
    };
    let length = u64::try_from(length).map_err(|_| Malformed::new("invalid bulk length"))?;
    Ok(Some(length))
}

/// The number after the first byte, up to CR LF, taken with all of that.
fn number(input: &mut BytesMut, what: &str) -> Result<Option<i64>, Malformed> {
    let wrong = || Malformed(format!("invalid {what} length"));
    let head = &input[..input.len().min(NUMBER_MAX)];
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        let is_long = head.len() == NUMBER_MAX;
        return is_long.then(wrong).map_or(Ok(None), Err);
    };
    let digits = head[1..end].strip_suffix(b"\r").ok_or_else(wrong)?;
    if digits.first() == Some(&b'+') {
        return Err(wrong());
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    let number = number.ok_or_else(wrong)?;
    input.advance(end + 1);
    Ok(Some(number))
}

#[cfg(test)]
mod tests;
