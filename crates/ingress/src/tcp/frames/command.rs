//! What a Redis command does to its connection.
//!
//! Most do nothing to it. Some set it up, and are said again to the next node; some make it one that no other node can
//! go on with.

/// Bytes of a command that are looked at. What sets a connection up is short.
pub(in super::super) const LOOKED_AT: usize = 512;

/// Which part of a connection's set-up a command replaces. They are repeated in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Slot {
    Hello,
    Auth,
    Select,
    Name,
    Library,
    LibraryVersion,
    NoEvict,
    NoTouch,
    ReadOnly,
}

/// What a command does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Command {
    /// Nothing.
    Plain,
    /// Nothing, and it is not answered either.
    Unanswered,
    /// It sets the connection up.
    SetUp(Slot),
    /// It begins a transaction, which must end on the same node.
    Multi,
    /// It ends one, and what was watched for it.
    Exec,
    /// It has the node watch keys for a transaction to come.
    Watch,
    /// It ends that.
    Unwatch,
    /// As a new connection, but for the node.
    Reset,
    /// From now on answers do not follow requests.
    Pin(&'static str),
}

impl Command {
    /// Of a command's first bytes; all of them where it has at most [`LOOKED_AT`].
    pub(in super::super) fn of(bytes: &[u8]) -> Self {
        let whole = bytes.len() < LOOKED_AT;
        let words = match bytes.first() {
            Some(b'*') => array(bytes),
            _ => inline(bytes),
        };
        let [Some(name), second, third] = words else {
            return Self::Unanswered;
        };
        let is =
            |word: Option<&[u8]>, other: &str| word.is_some_and(|w| w.eq_ignore_ascii_case(other.as_bytes()));
        let set_up = |slot| match whole {
            true => Self::SetUp(slot),
            false => Self::Pin("a command that sets the connection up is too long to be repeated"),
        };
        match name.to_ascii_uppercase().as_slice() {
            b"HELLO" if second.is_some() => set_up(Slot::Hello),
            b"AUTH" => set_up(Slot::Auth),
            b"SELECT" => set_up(Slot::Select),
            b"READONLY" | b"READWRITE" => set_up(Slot::ReadOnly),
            b"CLIENT" if is(second, "setname") => set_up(Slot::Name),
            b"CLIENT" if is(second, "setinfo") && is(third, "lib-name") => set_up(Slot::Library),
            b"CLIENT" if is(second, "setinfo") => set_up(Slot::LibraryVersion),
            b"CLIENT" if is(second, "no-evict") => set_up(Slot::NoEvict),
            b"CLIENT" if is(second, "no-touch") => set_up(Slot::NoTouch),
            b"CLIENT" if is(second, "reply") => Self::Pin("it switched answers off (CLIENT REPLY)"),
            b"CLIENT" if is(second, "tracking") => Self::Pin("the node tracks its keys (CLIENT TRACKING)"),
            b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" => Self::Pin("it subscribes to channels"),
            b"MONITOR" => Self::Pin("it watches the node's commands (MONITOR)"),
            b"SYNC" | b"PSYNC" | b"REPLCONF" => Self::Pin("it replicates the node"),
            b"MULTI" => Self::Multi,
            b"EXEC" | b"DISCARD" => Self::Exec,
            b"WATCH" => Self::Watch,
            b"UNWATCH" => Self::Unwatch,
            b"RESET" => Self::Reset,
            _ => Self::Plain,
        }
    }
}

/// The first three words of `*3\r\n$3\r\nSET\r\n…`.
fn array(bytes: &[u8]) -> [Option<&[u8]>; 3] {
    let mut words = [None; 3];
    let Some((count, mut rest)) = number(bytes) else {
        return words;
    };
    for word in words.iter_mut().take(count) {
        let Some((length, behind)) = number(rest) else {
            return words;
        };
        *word = behind.get(..length);
        rest = behind.get(length.saturating_add(2)..).unwrap_or_default();
    }
    words
}

/// The number behind a type, and what is behind its line.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let text = bytes.get(1..end.checked_sub(1)?)?;
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((number, &bytes[end + 1..]))
}

fn inline(bytes: &[u8]) -> [Option<&[u8]>; 3] {
    let mut words = bytes.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    [words.next(), words.next(), words.next()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_does_to_its_connection_is_known() {
        for (text, command) in [
            ("GET a", Command::Plain),
            ("get multi", Command::Plain),
            ("PING", Command::Plain),
            ("HELLO", Command::Plain),
            ("hello 3 AUTH a b", Command::SetUp(Slot::Hello)),
            ("select 3", Command::SetUp(Slot::Select)),
            ("client SetName x", Command::SetUp(Slot::Name)),
            ("client setinfo LIB-NAME x", Command::SetUp(Slot::Library)),
            ("client setinfo lib-ver x", Command::SetUp(Slot::LibraryVersion)),
            ("client list", Command::Plain),
            (
                "client reply off",
                Command::Pin("it switched answers off (CLIENT REPLY)"),
            ),
            ("psubscribe a*", Command::Pin("it subscribes to channels")),
            ("multi", Command::Multi),
            ("discard", Command::Exec),
            ("reset", Command::Reset),
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            let mut array = format!("*{}\r\n", words.len());
            words
                .iter()
                .for_each(|w| array.push_str(&format!("${}\r\n{w}\r\n", w.len())));
            assert_eq!(Command::of(array.as_bytes()), command, "{array:?}");
            assert_eq!(Command::of(format!("{text}\r\n").as_bytes()), command, "{text:?}");
        }
        for nothing in ["\r\n", "*0\r\n", "*-1\r\n", "  \r\n"] {
            assert_eq!(
                Command::of(nothing.as_bytes()),
                Command::Unanswered,
                "{nothing:?}"
            );
        }
        let long = format!("*2\r\n$4\r\nAUTH\r\n$600\r\n{}", "x".repeat(500));
        assert!(matches!(
            Command::of(&long.as_bytes()[..LOOKED_AT]),
            Command::Pin(_)
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_some_command(bytes: Vec<u8>, text in "[*$0-9\r\n a-z-]{0,40}") {
            Command::of(&bytes);
            Command::of(text.as_bytes());
        }
    }
}
