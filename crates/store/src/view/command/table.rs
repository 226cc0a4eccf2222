//! The commands that are served: names, arity and keys as Redis tells them with `COMMAND`, and how each is read.

use super::{Command, Expire, Half, Scan, When, Words};

/// A command.
pub(in crate::view) struct Spec {
    /// In lower case.
    pub(in crate::view) name: &'static str,
    /// Words, the name included; so many or more where negative.
    pub(in crate::view) arity: i64,
    pub(in crate::view) kind: Kind,
    pub(in crate::view) summary: &'static str,
    pub(super) parse: fn(Words) -> Result<Command, String>,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::view) enum Kind {
    /// Something with the connection.
    Connection,
    /// Reads the partition that its first argument names.
    Read,
    /// Changes it.
    Write,
    /// Reads the partitions that its arguments name.
    ReadMany,
    /// Changes them.
    WriteMany,
}

impl Spec {
    /// The command of this name, in whatever case.
    pub(in crate::view) fn of(name: &[u8]) -> Option<&'static Self> {
        COMMANDS
            .iter()
            .find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    pub(super) fn takes(&self, words: usize) -> bool {
        let least = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        words == least || (self.arity < 0 && words > least)
    }

    /// First key, last key and step, as `COMMAND` tells them.
    pub(in crate::view) fn keys(&self) -> [i64; 3] {
        match self.kind {
            Kind::Connection => [0, 0, 0],
            Kind::Read | Kind::Write => [1, 1, 1],
            Kind::ReadMany | Kind::WriteMany => [1, -1, 1],
        }
    }

    pub(in crate::view) fn flags(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Connection => &["loading", "stale", "fast"],
            Kind::Read | Kind::ReadMany => &["readonly"],
            Kind::Write | Kind::WriteMany => &["write", "denyoom"],
        }
    }
}

macro_rules! spec {
    ($name:literal, $arity:literal, $kind:ident, $summary:literal, $parse:expr) => {
        Spec {
            name: $name,
            arity: $arity,
            kind: Kind::$kind,
            summary: $summary,
            parse: $parse,
        }
    };
}

macro_rules! connection {
    ($name:literal, $arity:literal, $summary:literal) => {
        spec!($name, $arity, Connection, $summary, |words| {
            Ok(Command::Connection($name, words.fields()))
        })
    };
}

/// All of them.
pub(in crate::view) const COMMANDS: &[Spec] = &[
    connection!("auth", -2, "Says who the client is, by a token."),
    connection!("client", -2, "Names the connection, and tells of it."),
    connection!("command", -1, "Tells the commands that are served."),
    connection!("echo", 2, "Answers what it is given."),
    connection!("hello", -1, "Chooses the version of the protocol."),
    connection!("info", -1, "Tells of the server."),
    connection!("ping", -1, "Answers PONG."),
    connection!("quit", -1, "Closes the connection."),
    connection!("reset", 1, "Makes the connection as it was at its begin."),
    connection!("select", 2, "Takes database 0, the only one."),
    spec!("del", -2, WriteMany, "Deletes partitions.", |words| {
        Ok(Command::Drop(words.keys()?))
    }),
    spec!(
        "exists",
        -2,
        ReadMany,
        "Counts the partitions that are there.",
        |words| { Ok(Command::Count(words.keys()?)) }
    ),
    spec!(
        "expire",
        -3,
        Write,
        "Lets a partition end after so many seconds.",
        |words| { Expire::parse(words, "expire", When::Seconds { is_left: true }) }
    ),
    spec!(
        "expireat",
        -3,
        Write,
        "Lets a partition end at a time, in Unix seconds.",
        |words| { Expire::parse(words, "expireat", When::Seconds { is_left: false }) }
    ),
    spec!(
        "expiretime",
        2,
        Read,
        "When a partition ends, in Unix seconds.",
        |mut words| { Ok(Command::Ends(words.key()?, When::Seconds { is_left: false })) }
    ),
    spec!("hdel", -3, Write, "Deletes fields.", |mut words| {
        Ok(Command::Remove(words.key()?, words.fields()))
    }),
    spec!("hexists", 3, Read, "Whether a field is there.", |mut words| {
        Ok(Command::HasField(words.key()?, words.next()?))
    }),
    spec!("hget", 3, Read, "A field's value.", |mut words| {
        Ok(Command::Get(words.key()?, words.next()?))
    }),
    spec!("hgetall", 2, Read, "All fields and values.", |mut words| {
        Ok(Command::All(words.key()?, Half::Both))
    }),
    spec!("hincrby", 4, Write, "Adds to a field's number.", |mut words| {
        Ok(Command::Add(words.key()?, words.next()?, words.number()?))
    }),
    spec!("hkeys", 2, Read, "All fields.", |mut words| {
        Ok(Command::All(words.key()?, Half::Fields))
    }),
    spec!("hlen", 2, Read, "The number of fields.", |mut words| {
        Ok(Command::Length(words.key()?))
    }),
    spec!("hmget", -3, Read, "The values of fields.", |mut words| {
        Ok(Command::GetMany(words.key()?, words.fields()))
    }),
    spec!("hmset", -4, Write, "Sets fields.", |mut words| {
        Ok(Command::Set(words.key()?, words.pairs()?, true))
    }),
    spec!(
        "hscan",
        -3,
        Read,
        "Fields and values, some at a time.",
        Scan::parse
    ),
    spec!("hset", -4, Write, "Sets fields.", |mut words| {
        Ok(Command::Set(words.key()?, words.pairs()?, false))
    }),
    spec!(
        "hsetnx",
        4,
        Write,
        "Sets a field that is not there.",
        |mut words| { Ok(Command::SetNew(words.key()?, words.next()?, words.next()?)) }
    ),
    spec!(
        "hstrlen",
        3,
        Read,
        "The length of a field's value.",
        |mut words| { Ok(Command::FieldLength(words.key()?, words.next()?)) }
    ),
    spec!("hvals", 2, Read, "All values.", |mut words| {
        Ok(Command::All(words.key()?, Half::Values))
    }),
    spec!(
        "persist",
        2,
        Write,
        "Lets a partition end with its session.",
        |mut words| { Ok(Command::Persist(words.key()?)) }
    ),
    spec!(
        "pexpire",
        -3,
        Write,
        "Lets a partition end after so many milliseconds.",
        |words| { Expire::parse(words, "pexpire", When::Millis { is_left: true }) }
    ),
    spec!(
        "pexpireat",
        -3,
        Write,
        "Lets a partition end at a time, in Unix milliseconds.",
        |words| { Expire::parse(words, "pexpireat", When::Millis { is_left: false }) }
    ),
    spec!(
        "pexpiretime",
        2,
        Read,
        "When a partition ends, in Unix milliseconds.",
        |mut words| { Ok(Command::Ends(words.key()?, When::Millis { is_left: false })) }
    ),
    spec!(
        "pttl",
        2,
        Read,
        "The milliseconds that a partition has left.",
        |mut words| { Ok(Command::Ends(words.key()?, When::Millis { is_left: true })) }
    ),
    spec!(
        "ttl",
        2,
        Read,
        "The seconds that a partition has left.",
        |mut words| { Ok(Command::Ends(words.key()?, When::Seconds { is_left: true })) }
    ),
    spec!("type", 2, Read, "hash, or none.", |mut words| Ok(Command::Type(
        words.key()?
    ))),
    spec!("unlink", -2, WriteMany, "Deletes partitions.", |words| {
        Ok(Command::Drop(words.keys()?))
    }),
];
