//! The control messages of `foreshift.v1`: what is said to a client, and what a client says.
//!
//! Each is a text message: U+001E, then a JSON object. What is not understood is the application's own.

use serde_json::{Value, json};

/// The subprotocol that a client offers.
pub(crate) const PROTOCOL: &[u8] = b"foreshift.v1";
/// How a control message begins.
pub(crate) const MARK: u8 = 0x1e;
/// Longest message of a client that is looked at.
pub(crate) const MESSAGE_MAX: usize = 4096;

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Migrate {
    /// Where to, with the path of the client's own handshake.
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) within_ms: u64,
    pub(crate) delay_ms: u64,
    /// Why, for people.
    pub(crate) reason: &'static str,
}

impl Migrate {
    pub(crate) fn text(&self) -> String {
        let object = json!({
            "foreshift": "migrate", "url": self.url, "token": self.token,
            "within_ms": self.within_ms, "delay_ms": self.delay_ms, "reason": self.reason,
        });
        format!("\u{1e}{object}")
    }

    /// As the header `Foreshift-Migrate`. Neither part has a quote or a backslash: they are ours.
    pub(crate) fn header(&self) -> String {
        let within = self.within_ms.div_ceil(1_000);
        format!(
            "url=\"{}\", token=\"{}\", within={within}, delay={}",
            self.url, self.token, self.delay_ms
        )
    }
}

/// The first message on a new connection.
pub(crate) fn resumed(session: foreshift_wire::SessionId) -> String {
    format!("\u{1e}{{\"foreshift\":\"resumed\",\"session\":\"{session}\"}}")
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Everything else comes on the new connection.
    Moved { token: String },
    /// It stays.
    Refused { reason: String },
}

/// Reads a client's message. `None`: the application's own.
pub(crate) fn read(message: &[u8]) -> Option<Said> {
    let object: Value = serde_json::from_slice(message.strip_prefix(&[MARK])?).ok()?;
    let text = |name: &str| object.get(name)?.as_str().map(str::to_owned);
    match object.get("foreshift")?.as_str()? {
        "moved" => Some(Said::Moved {
            token: text("token")?,
        }),
        "refused" => {
            let reason = text("reason").unwrap_or_default();
            // It goes into records that people read.
            let printable = reason.chars().filter(|c| !c.is_control());
            Some(Said::Refused {
                reason: printable.take(120).collect(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_understood_and_the_application_left_alone() {
        let refused = |reason: &str| {
            Some(Said::Refused {
                reason: reason.into(),
            })
        };
        let token = "t".to_owned();
        for (message, said) in [
            (
                "\u{1e}{\"foreshift\":\"moved\",\"token\":\"t\"}",
                Some(Said::Moved { token }),
            ),
            ("\u{1e}{\"foreshift\":\"moved\"}", None),
            (
                "\u{1e}{\"foreshift\":\"refused\",\"reason\":\"a\\nb\"}",
                refused("ab"),
            ),
            ("\u{1e}{\"foreshift\":\"refused\"}", refused("")),
            ("\u{1e}{\"foreshift\":\"migrate\"}", None),
            ("\u{1e}record", None),
            ("{\"foreshift\":\"refused\"}", None),
            ("", None),
        ] {
            assert_eq!(read(message.as_bytes()), said, "{message:?}");
        }
    }

    #[test]
    fn an_instruction_reads_as_documented() {
        let migrate = Migrate {
            url: "wss://a:1/p?q".into(),
            token: "v1.k.p.s".into(),
            within_ms: 1_500,
            delay_ms: 7,
            reason: "rebalance",
        };
        assert_eq!(
            migrate.text(),
            "\u{1e}{\"delay_ms\":7,\"foreshift\":\"migrate\",\"reason\":\"rebalance\",\"token\":\"v1.k.p.s\",\"url\":\"wss://a:1/p?q\",\"within_ms\":1500}"
        );
        assert_eq!(
            migrate.header(),
            "url=\"wss://a:1/p?q\", token=\"v1.k.p.s\", within=2, delay=7"
        );
    }
}
