//! What every request passes before a handler sees it: who may ask, and for how long.
//!
//! The API has no tokens yet and so listens on loopback only. That keeps other machines out, but not the web
//! pages in a browser on this one: a page may send requests to 127.0.0.1, or have its own name resolve there
//! (DNS rebinding). So `Host` must name loopback, and a request that a browser made for a page must come from
//! the API's own origin.

use std::{net::IpAddr, panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::problem::ApiError;

/// Time for a handler to begin its answer.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);

/// Refuses what a web page of elsewhere sent.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(|a| a.as_str().to_owned());
    match check(authority.as_deref(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => ApiError::new(StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// Answers 503 for a handler that takes too long, and 500 for one that panics.
pub(crate) async fn bounded(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(HANDLER_TIMEOUT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("an API handler panicked");
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this is a bug; the log has more",
            )
            .into_response()
        }
        Err(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer within 10 s; try again",
        )
        .into_response(),
    }
}

fn check(authority: Option<&str>, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (authority, hosts.next()) {
        (Some(authority), _) => authority,
        (None, Some(host)) => host.to_str().map_err(|_| "the Host header is no text")?,
        (None, None) => return Err("the Host header is missing"),
    };
    if hosts.next().is_some() || !is_loopback(host) {
        return Err("the Host header must name loopback: 127.0.0.1, [::1] or localhost");
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str()) {
        None => {}
        Some(Ok(origin)) if origin.strip_prefix("http://") == Some(host) => {}
        Some(_) => return Err("requests made by web pages of another origin are refused"),
    }
    let cross_site = |site: &[u8]| site == b"cross-site" || site == b"same-site";
    match headers.get("sec-fetch-site") {
        Some(site) if cross_site(site.as_bytes()) => {
            Err("requests made by web pages of another origin are refused")
        }
        _ => Ok(()),
    }
}

/// Whether `host`, with or without a port, is a loopback address or `localhost`.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_the_own_origin_pass() {
        for (host, origin, site, passes) in [
            ("127.0.0.1:8090", None, None, true),
            ("localhost:8090", None, None, true),
            ("LOCALHOST", None, None, true),
            ("[::1]:8090", None, None, true),
            (
                "127.0.0.1:8090",
                Some("http://127.0.0.1:8090"),
                Some("same-origin"),
                true,
            ),
            ("127.0.0.1:8090", None, Some("none"), true),
            ("evil.example:8090", None, None, false),
            ("localhost.evil.example", None, None, false),
            ("127.0.0.1.evil.example:8090", None, None, false),
            ("192.168.1.2:8090", None, None, false),
            ("", None, None, false),
            ("127.0.0.1:8090", Some("http://evil.example"), None, false),
            ("127.0.0.1:8090", Some("http://127.0.0.1:3000"), None, false),
            ("127.0.0.1:8090", Some("null"), None, false),
            ("127.0.0.1:8090", None, Some("cross-site"), false),
            ("127.0.0.1:8090", None, Some("same-site"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            if let Some(site) = site {
                headers.insert("sec-fetch-site", site.parse().unwrap());
            }
            assert_eq!(
                check(None, &headers).is_ok(),
                passes,
                "{host} {origin:?} {site:?}"
            );
        }
    }

    #[test]
    fn two_host_headers_or_none_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(check(None, &headers).is_err());
        headers.append(header::HOST, "127.0.0.1".parse().unwrap());
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert!(check(None, &headers).is_err());
    }
}
