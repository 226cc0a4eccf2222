//! What a path names: a session, a partition, a key.
//!
//! Read from the path as it was sent. `/` within a partition's name comes as `%2F`, and a key may be any bytes, which axum's own
//! parameters, being UTF-8, cannot hold.

use axum::{extract::FromRequestParts, http::StatusCode, http::request::Parts};
use bytes::Bytes;
use foreshift_wire::{PartitionName, SessionId, entries::decode_key};

use crate::api::problem::ApiError;

/// A session.
pub(super) struct SessionPlace(pub(super) SessionId);
/// A partition of a session.
pub(super) struct PartitionPlace(pub(super) SessionId, pub(super) PartitionName);
/// A key of a partition.
pub(super) struct KeyPlace(pub(super) SessionId, pub(super) PartitionName, pub(super) Bytes);

/// Parts of a path behind `/v1/sessions/`, as they were sent: the session, the partition, the key.
fn parts(path: &str) -> (&str, &str, &str) {
    let rest = path.strip_prefix("/v1/sessions/").unwrap_or_default();
    let (session, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let rest = rest.strip_prefix("partitions/").unwrap_or_default();
    let (partition, key) = rest.split_once('/').unwrap_or((rest, ""));
    (session, partition, key)
}

fn session(text: &str) -> Result<SessionId, ApiError> {
    // What was sent is not said back: problems are logged by clients, and ids are secrets.
    let wrong = |_| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "a session's id has 32 hexadecimal digits",
        )
    };
    text.parse().map_err(wrong)
}

fn partition(text: &str) -> Result<PartitionName, ApiError> {
    let wrong = |why: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why);
    let name = decode_key(text).map_err(|error| wrong(error.to_string()))?;
    let name = String::from_utf8_lossy(&name);
    PartitionName::new(&name).map_err(|error| wrong(error.to_string()))
}

/// Checks a key that was sent in a path or a body.
pub(super) fn key(text: &str) -> Result<Bytes, ApiError> {
    let wrong = |why: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why);
    let key = decode_key(text).map_err(|error| wrong(error.to_string()))?;
    Ok(key.into())
}

impl<S: Sync> FromRequestParts<S> for SessionPlace {
    type Rejection = ApiError;
    async fn from_request_parts(sent: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(session(parts(sent.uri.path()).0)?))
    }
}

impl<S: Sync> FromRequestParts<S> for PartitionPlace {
    type Rejection = ApiError;
    async fn from_request_parts(sent: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let (id, name, _) = parts(sent.uri.path());
        Ok(Self(session(id)?, partition(name)?))
    }
}

impl<S: Sync> FromRequestParts<S> for KeyPlace {
    type Rejection = ApiError;
    async fn from_request_parts(sent: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let (id, name, path) = parts(sent.uri.path());
        Ok(Self(session(id)?, partition(name)?, key(path)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_session_a_partition_and_a_key_of_any_bytes() {
        for (path, expected) in [
            ("/v1/sessions/1f", ("1f", "", "")),
            ("/v1/sessions/1f/revoke", ("1f", "", "")),
            ("/v1/sessions/1f/partitions", ("1f", "", "")),
            ("/v1/sessions/1f/partitions/cart", ("1f", "cart", "")),
            (
                "/v1/sessions/1f/partitions/a%2Fb/c/d//e",
                ("1f", "a%2Fb", "c/d//e"),
            ),
            ("/elsewhere", ("", "", "")),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
        assert_eq!(partition("game%2Finventory").unwrap().as_str(), "game/inventory");
        assert_eq!(key("a%FF%00/b").unwrap(), &b"a\xff\0/b"[..]);
        for wrong in ["", "%", "%zz", &"x".repeat(1_025)] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }
}
