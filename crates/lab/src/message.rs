//! What clients and backends say to each other.
//!
//! A message is one line of JSON and, after a line feed, a payload of any bytes that comes back unchanged.
//! JSON so that a person with `curl` or `websocat` can take part; the payload is outside of it, so that large
//! and binary messages cost nothing to parse.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A work item, sent by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Work {
    /// 1, 2, 3 … on each connection; anything else is counted as disorder by the backend.
    pub id: u64,
}

/// What a backend says: the answer to a work item, or a message of its own accord.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The work item's number; `None` on a message that nobody asked for.
    pub id: Option<u64>,
    /// Number of a message that nobody asked for, 1, 2, 3 … on each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<u64>,
    /// Work items of the session so far, this one included. It goes with the session from node to node.
    pub count: u64,
    /// Drawn when a session begins at zero; a new value means that the session's state was lost.
    pub epoch: u64,
    /// The backend that says it.
    pub node: String,
}

/// Puts a head and a payload into one message.
pub(crate) fn encode(head: &impl Serialize, payload: &[u8]) -> Vec<u8> {
    let mut message = serde_json::to_vec(head).unwrap_or_default();
    if !payload.is_empty() {
        message.push(b'\n');
        message.extend_from_slice(payload);
    }
    message
}

/// Takes a message apart; `None` where the head is not what it should be.
pub(crate) fn decode<T: DeserializeOwned>(message: &[u8]) -> Option<(T, &[u8])> {
    let end = message.iter().position(|b| *b == b'\n');
    let (head, payload) = match end {
        Some(end) => (&message[..end], &message[end + 1..]),
        None => (message, &[][..]),
    };
    Some((serde_json::from_slice(head).ok()?, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_with_its_payload() {
        for payload in [&b""[..], b"x", b"\n\n{}", &[0, 255, 10]] {
            let message = encode(&Work { id: 7 }, payload);
            assert_eq!(
                decode::<Work>(&message),
                Some((Work { id: 7 }, payload)),
                "{payload:?}"
            );
        }
        assert_eq!(decode::<Work>(b"hello"), None);
    }
}
