//! The keys of this view: `{session}:partition`, or with the reign in which the node writes, `{session@epoch}:partition`.

use bytes::Bytes;
use foreshift_wire::{Epoch, PartitionName, SessionId};

/// A partition of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) session: SessionId,
    pub(super) epoch: Option<Epoch>,
    pub(super) partition: PartitionName,
}

/// The error for keys of any other form.
const FORM: &str = "ERR a key is '{session}:partition' with 32 hexadecimal digits in the braces, or '{session@epoch}:partition'";

impl Key {
    pub(super) fn parse(key: &Bytes) -> Result<Self, String> {
        let text = std::str::from_utf8(key).map_err(|_| FORM)?;
        let (tag, partition) = text
            .strip_prefix('{')
            .and_then(|rest| rest.split_once("}:"))
            .ok_or(FORM)?;
        let (session, epoch) = match tag.split_once('@') {
            Some((session, epoch)) => (session, Some(epoch)),
            None => (tag, None),
        };
        let epoch = epoch.map(|epoch| epoch.parse().map_err(|_| FORM)).transpose()?;
        Ok(Self {
            session: session.parse().map_err(|_| FORM)?,
            epoch,
            partition: PartitionName::new(partition).map_err(|error| format!("ERR {error}"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_a_session_and_a_partition() {
        for (text, known) in [
            ("{0123456789abcdef0123456789abcdef}:cart", Some((None, "cart"))),
            (
                "{0123456789abcdef0123456789abcdef}:game/map",
                Some((None, "game/map")),
            ),
            (
                "{0123456789abcdef0123456789abcdef@17}:cart",
                Some((Some(Epoch(17)), "cart")),
            ),
            ("{0123456789abcdef0123456789abcdef@}:cart", None),
            ("{0123456789abcdef0123456789abcdef@-1}:cart", None),
            ("{0123456789abcdef0123456789abcdef@1@2}:cart", None),
            ("{0123456789abcdef0123456789abcde}:cart", None),
            ("{0123456789abcdef0123456789abcdef}cart", None),
            ("{0123456789abcdef0123456789abcdef}:", None),
            ("{0123456789abcdef0123456789abcdef}:../x", None),
            ("0123456789abcdef0123456789abcdef:cart", None),
            ("", None),
            ("{", None),
            ("{}:cart", None),
        ] {
            let key = Key::parse(&text.into());
            let found = key.as_ref().ok().map(|key| (key.epoch, key.partition.as_str()));
            assert_eq!(found, known, "{text}: {key:?}");
            assert!(key.is_ok() || key.is_err_and(|error| error.starts_with("ERR ")));
        }
        assert!(Key::parse(&Bytes::from_static(b"\xff")).is_err());
    }
}
