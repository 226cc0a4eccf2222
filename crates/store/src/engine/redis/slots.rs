//! Which server of a cluster has which sessions: the slot table, and what moves it.
//!
//! Pure: what servers say comes in as values.

use std::{collections::BTreeSet, fmt, sync::Arc};

use redis::Value;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// A server. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address(pub(super) Arc<str>, pub(super) u16);

impl Address {
    /// From `host:port` or `[host]:port`, as servers say it; where they leave the host out, they mean themselves.
    pub(super) fn parse(text: &str, own: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self::of(host, port.parse().ok()?, own)
    }

    fn of(host: &str, port: u16, own: &Self) -> Option<Self> {
        match host {
            "?" => None,
            "" => Some(Self(own.0.clone(), port)),
            host => Some(Self(host.into(), port)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]:{}", self.0, self.1),
            false => write!(f, "{}:{}", self.0, self.1),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who has which slot, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slots {
    of: Vec<Option<Address>>,
    all: BTreeSet<Address>,
}

impl Slots {
    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self {
            of: vec![None; SLOTS.into()],
            all: BTreeSet::new(),
        }
    }

    /// What `CLUSTER SLOTS` answered; `None` where that is not to be understood, or says nothing.
    pub(super) fn parse(answer: &Value, own: &Address) -> Option<Self> {
        let mut slots = Self::unknown();
        let Value::Array(ranges) = answer else {
            return None;
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [Value::Int(from), Value::Int(to), nodes @ ..] = &range[..] else {
                return None;
            };
            let (from, to) = (usize::try_from(*from).ok()?, usize::try_from(*to).ok()?);
            let mut nodes = nodes.iter().map(|node| address(node, own));
            let primary = nodes.next().flatten();
            slots.of.get_mut(from..=to)?.fill(primary.clone());
            slots.all.extend(primary);
            slots.all.extend(nodes.flatten());
        }
        (!slots.all.is_empty()).then_some(slots)
    }

    /// Who has a slot.
    pub(super) fn primary(&self, slot: u16) -> Option<&Address> {
        self.of.get(usize::from(slot))?.as_ref()
    }

    /// A server said who has a slot now.
    pub(super) fn moved(&mut self, slot: u16, to: Address) {
        self.all.insert(to.clone());
        if let Some(of) = self.of.get_mut(usize::from(slot)) {
            *of = Some(to);
        }
    }

    /// All servers, replicas too.
    pub(super) fn all(&self) -> &BTreeSet<Address> {
        &self.all
    }

    /// The servers that have slots, in their order.
    pub(super) fn primaries(&self) -> BTreeSet<&Address> {
        self.of.iter().flatten().collect()
    }
}

fn address(node: &Value, own: &Address) -> Option<Address> {
    let Value::Array(node) = node else {
        return None;
    };
    let [host, Value::Int(port), ..] = &node[..] else {
        return None;
    };
    let port = u16::try_from(*port).ok()?;
    match host {
        Value::BulkString(host) => Address::of(std::str::from_utf8(host).ok()?, port, own),
        Value::SimpleString(host) => Address::of(host, port, own),
        Value::Nil => Address::of("", port, own),
        _ => None,
    }
}

/// The slot of a key, by what is between its first braces.
pub(super) fn slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|byte| *byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as Redis Cluster's specification names it: polynomial 0x1021, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address("10.0.0.1".into(), port)
    }

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // The first three as `redis-cli cluster keyslot` says.
        for (key, is) in [
            ("123456789", 0x31c3),
            ("foo", 12_182),
            ("{user1000}.following", 3_443),
        ] {
            assert_eq!(slot(key.as_bytes()), is % SLOTS, "{key}");
        }
        assert_eq!(slot(b"a{foo}b{bar}"), slot(b"foo"));
        assert_eq!(slot(b"a{}foo"), crc16(b"a{}foo") % SLOTS);
    }

    #[test]
    fn an_address_is_said_in_several_ways() {
        for (text, is) in [
            ("10.0.0.2:7000", Some(("10.0.0.2", 7_000))),
            (":7001", Some(("10.0.0.1", 7_001))),
            ("::1:7002", Some(("::1", 7_002))),
            ("[::1]:7002", Some(("::1", 7_002))),
            ("?:7003", None),
            ("10.0.0.2", None),
            ("a:70000", None),
            ("", None),
        ] {
            let is = is.map(|(host, port)| Address(host.into(), port));
            assert_eq!(Address::parse(text, &at(1)), is, "{text}");
        }
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    fn range(from: i64, to: i64, nodes: Vec<Value>) -> Value {
        Value::Array(
            [Value::Int(from), Value::Int(to)]
                .into_iter()
                .chain(nodes)
                .collect(),
        )
    }

    #[test]
    fn a_table_says_who_has_a_slot_until_it_moves() {
        let here = Value::BulkString(b"".to_vec());
        let other = Value::BulkString(b"10.0.0.2".to_vec());
        let answer = Value::Array(vec![
            range(0, 99, vec![node(here, 1), node(other.clone(), 4)]),
            range(101, 16_383, vec![node(other, 2)]),
        ]);
        let mut slots = Slots::parse(&answer, &at(9)).unwrap();
        let other = |port| Address("10.0.0.2".into(), port);
        assert_eq!(slots.primary(99), Some(&at(1)));
        assert_eq!(slots.primary(100), None);
        assert_eq!(slots.primary(16_383), Some(&other(2)));
        assert_eq!(slots.all().len(), 3);
        slots.moved(100, other(5));
        assert_eq!(slots.primary(100), Some(&other(5)));
        assert_eq!(slots.primaries(), BTreeSet::from([&at(1), &other(2), &other(5)]));
    }

    #[test]
    fn an_answer_that_is_no_table_is_none() {
        let host = || node(Value::BulkString(b"a".to_vec()), 1);
        for answer in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 20_000, vec![host()])]),
            Value::Array(vec![range(-1, 5, vec![host()])]),
            Value::Array(vec![range(5, 1, vec![host()])]),
            Value::Array(vec![range(0, 5, vec![])]),
            Value::Array(vec![range(0, 5, vec![node(Value::Int(1), 1)])]),
        ] {
            assert_eq!(Slots::parse(&answer, &at(9)), None, "{answer:?}");
        }
    }
}
