//! What a node lacks of a session that moves to it, fetched by the node with the token of the request that it resumes.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foreshift_store::content_digest;
use foreshift_wire::{PartitionName, Problem, Version, entries};

use super::{Desk, partitions::NO_CACHE, place::SessionPlace, who::credentials};
use crate::api::problem::{ApiError, Result};

/// The scheme of the one-time tokens.
const SCHEME: &str = "Foreshift";
/// What a node says that it holds.
const HELD: &str = "foreshift-held";
/// Partitions that it may name at most; what it holds beyond is sent again.
const HELD_MAX: usize = 1_024;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// All that a node lacks of the partitions that it requires, in `application/vnd.foreshift.entries`. Its token is good once.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/replay", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session's id"),
        ("Authorization" = String, Header, description = "`Foreshift` and the token of `Foreshift-Resume-Token`"),
        ("Foreshift-Held" = Option<String>, Header, description = "Versions of the partitions that the node holds whole, as in `cart=17, auth=3`"),
    ),
    responses(
        (status = 200, body = [u8], content_type = "application/vnd.foreshift.entries", description = "The header Content-Digest is that of the bytes as they are sent; compressed by zstd where Accept-Encoding has it"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The token is unknown, was used before, or came too late"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pull(
    State(desk): State<Desk>,
    SessionPlace(id): SessionPlace,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = &desk.store()?.sessions;
    // Before the token is used up: whoever mistyped may try again.
    let held = held(&headers).map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, why))?;
    let token = credentials(&headers, SCHEME.as_bytes()).and_then(|token| std::str::from_utf8(token).ok());
    let token = token.ok_or_else(|| {
        let detail = "send the header Authorization: Foreshift with the token of Foreshift-Resume-Token";
        let scheme = HeaderValue::from_static(SCHEME);
        ApiError::new(StatusCode::UNAUTHORIZED, detail).header(header::WWW_AUTHENTICATE, scheme)
    })?;
    let redeemed = sessions.redeem(id, token).map_err(foreshift_store::Error::from)?;
    let pulled = match sessions.pull(&redeemed, &held, takes_zstd(&headers)).await {
        Ok(pulled) => pulled,
        Err(error) => {
            // Nothing was fetched with it, and the answer is to try again.
            if matches!(error, foreshift_store::Error::Unavailable { .. }) {
                sessions.give_back(token, redeemed);
            }
            return Err(error.into());
        }
    };
    let digest = HeaderValue::from_str(&content_digest(&pulled.body)).expect("Base64 is allowed in headers");
    let about = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(entries::CONTENT_TYPE),
        ),
        (CONTENT_DIGEST, digest),
        NO_CACHE,
    ];
    let mut answer = (about, pulled.body).into_response();
    if let Some(encoding) = pulled.encoding {
        let encoding = HeaderValue::from_static(encoding);
        answer.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    }
    Ok(answer)
}

/// Reads `cart=17, game/inventory=3`.
fn held(headers: &HeaderMap) -> std::result::Result<BTreeMap<PartitionName, Version>, &'static str> {
    const WRONG: &str = "the header Foreshift-Held is not as in cart=17, auth=3";
    let mut held = BTreeMap::new();
    for value in headers.get_all(HELD) {
        let text = value.to_str().map_err(|_| WRONG)?;
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let (name, version) = one.split_once('=').ok_or(WRONG)?;
            let (name, version) = (
                name.parse().map_err(|_| WRONG)?,
                version.parse().map_err(|_| WRONG)?,
            );
            if held.len() < HELD_MAX {
                held.insert(name, version);
            }
        }
    }
    Ok(held)
}

fn takes_zstd(headers: &HeaderMap) -> bool {
    let takes = |coding: &str| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("zstd") && !refused
    };
    let mut sent = headers.get_all(header::ACCEPT_ENCODING).iter();
    sent.any(|value| value.to_str().is_ok_and(|text| text.split(',').any(takes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_node_says_which_versions_it_holds() {
        let said = held(&headers(HELD, "cart=17, game/inventory=3,")).unwrap();
        let said: Vec<_> = said
            .iter()
            .map(|(name, version)| (name.as_str(), version.0))
            .collect();
        assert_eq!(said, [("cart", 17), ("game/inventory", 3)]);
        assert_eq!(held(&HeaderMap::new()), Ok(BTreeMap::new()));
        for wrong in ["cart", "cart=", "cart=x", "=1", "a b=1", "cart=-1"] {
            assert!(held(&headers(HELD, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_body_is_compressed_for_who_says_so() {
        for (accepted, takes) in [
            ("gzip, zstd", true),
            ("ZSTD;q=0.5", true),
            ("zstd;q=0", false),
            ("gzip", false),
            ("", false),
        ] {
            assert_eq!(
                takes_zstd(&headers("accept-encoding", accepted)),
                takes,
                "{accepted}"
            );
        }
    }
}
