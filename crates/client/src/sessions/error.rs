//! Why something was not done, so that a program can tell.

use http::StatusCode;
use serde::Deserialize;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another node serves the session now: this one stops working for it.
    #[error("{detail}")]
    Fenced {
        /// Who serves it.
        owner: Option<String>,
        /// Since which reign.
        epoch: u64,
        /// In words.
        detail: String,
    },
    /// A condition does not hold; nothing was written. Read again, and decide anew.
    #[error("{detail}")]
    Conflict {
        /// The version that is there; 0 where it is not there.
        version: u64,
        /// The key, percent-encoded, where it was a key's condition in a batch.
        key: Option<String>,
        /// In words.
        detail: String,
    },
    /// There is no such session, partition or key.
    #[error("{0}")]
    NotFound(String),
    /// The session was revoked.
    #[error("{0}")]
    Revoked(String),
    /// No token, one that is not known, or one that does not allow it.
    #[error("{0}")]
    NotAllowed(String),
    /// More than a limit.
    #[error("{0}")]
    TooLarge(String),
    /// The store cannot be used now. A write may have been done all the same: the text says.
    #[error("{0}")]
    Unavailable(String),
    /// The server could not be reached, or gave no answer: whether a write was done is not known.
    #[error("{0}")]
    NoAnswer(String),
    /// What was asked for cannot be asked for so.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    detail: String,
    owner: Option<String>,
    epoch: u64,
    version: u64,
    key: Option<String>,
}

impl Error {
    /// What an answer that is no success says.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let detail = match problem.detail.is_empty() {
            true => format!("the server answered {status}"),
            false => problem.detail,
        };
        match status {
            StatusCode::CONFLICT => Self::Fenced {
                owner: problem.owner,
                epoch: problem.epoch,
                detail,
            },
            StatusCode::PRECONDITION_FAILED => Self::Conflict {
                version: problem.version,
                key: problem.key,
                detail,
            },
            StatusCode::NOT_FOUND => Self::NotFound(detail),
            StatusCode::GONE => Self::Revoked(detail),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::NotAllowed(detail),
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(detail),
            status if status.is_server_error() => Self::Unavailable(detail),
            _ => Self::Invalid(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_tell_why() {
        let fenced = Error::of(
            StatusCode::CONFLICT,
            br#"{"type":"about:blank","title":"Conflict","status":409,"detail":"b has it","owner":"b","epoch":7}"#,
        );
        assert!(matches!(fenced, Error::Fenced { owner: Some(owner), epoch: 7, .. } if owner == "b"));
        let conflict = Error::of(StatusCode::PRECONDITION_FAILED, br#"{"version":3,"key":"a%20b"}"#);
        assert!(matches!(
            conflict,
            Error::Conflict {
                version: 3,
                key: Some(_),
                ..
            }
        ));
        for body in [&b""[..], b"<html>", b"[1]", b"{\"epoch\":\"x\"}"] {
            assert!(matches!(
                Error::of(StatusCode::BAD_GATEWAY, body),
                Error::Unavailable(_)
            ));
        }
    }
}
