//! Who asks.

use std::str::FromStr;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use foreshift_store::{Caller, NotAllowed};

use super::Desk;
use crate::api::problem::ApiError;

/// The node that asks, where no token says it.
const NODE: &str = "foreshift-node";
/// The reign in which it asks.
const EPOCH: &str = "foreshift-epoch";

/// Whoever asks, with what it may do.
pub(super) struct Who(pub(super) Caller);

impl FromRequestParts<Desk> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(sent: &mut Parts, desk: &Desk) -> Result<Self, ApiError> {
        let tokens = &desk.store()?.tokens;
        let (node, epoch) = (said(&sent.headers, NODE)?, said(&sent.headers, EPOCH)?);
        let caller = tokens.caller(credentials(&sent.headers, b"Bearer"), node, epoch);
        caller.map(Self).map_err(|why| match why {
            NotAllowed::OtherNode { .. } => ApiError::new(StatusCode::FORBIDDEN, why.to_string()),
            _ => {
                let scheme = HeaderValue::from_static("Bearer");
                ApiError::new(StatusCode::UNAUTHORIZED, why.to_string())
                    .header(header::WWW_AUTHENTICATE, scheme)
            }
        })
    }
}

/// What follows a scheme in `Authorization`.
pub(super) fn credentials<'a>(headers: &'a HeaderMap, scheme: &[u8]) -> Option<&'a [u8]> {
    let sent = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (said, rest) = sent.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    said.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

/// What a header says, where it is there.
fn said<T: FromStr<Err: std::fmt::Display>>(headers: &HeaderMap, name: &str) -> Result<Option<T>, ApiError> {
    let wrong = |why: String| ApiError::new(StatusCode::BAD_REQUEST, format!("the header {name}: {why}"));
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong("was sent twice".into()));
    }
    let text = value.to_str().map_err(|_| wrong("is no text".into()))?;
    text.trim()
        .parse()
        .map(Some)
        .map_err(|error: T::Err| wrong(error.to_string()))
}
