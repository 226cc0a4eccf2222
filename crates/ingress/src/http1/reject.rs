//! Answers that the proxy gives by itself.

use crate::instruct::token::Refusal;

/// A request that is answered here and never reaches a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: &'static str,
}

impl Reject {
    const fn new(status: u16, title: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            title,
            detail,
        }
    }

    /// A token that is not taken.
    pub(crate) const fn token(refusal: Refusal) -> Self {
        Self::new(403, "Forbidden", refusal.text())
    }

    pub(crate) const REVOKED: Self = Self::new(403, "Forbidden", "this session was revoked");
    pub(crate) const MALFORMED: Self = Self::new(400, "Bad Request", "the request head is malformed");
    pub(crate) const BARE_LF: Self = Self::new(400, "Bad Request", "lines must end in CR LF");
    pub(crate) const FRAMING: Self = Self::new(
        400,
        "Bad Request",
        "the body's length is stated wrongly, twice, or in two ways",
    );
    pub(crate) const CHUNK: Self = Self::new(400, "Bad Request", "the chunked body is malformed");
    pub(crate) const HOST: Self = Self::new(400, "Bad Request", "exactly one valid Host is needed");
    pub(crate) const TARGET: Self = Self::new(400, "Bad Request", "the request target is not a path");
    pub(crate) const CONNECT: Self = Self::new(405, "Method Not Allowed", "CONNECT is not served here");
    pub(crate) const HEAD_TIMEOUT: Self =
        Self::new(408, "Request Timeout", "the request took too long to arrive");
    pub(crate) const BODY_TOO_LARGE: Self =
        Self::new(413, "Content Too Large", "the body is over the configured limit");
    pub(crate) const HEAD_TOO_LARGE: Self = Self::new(
        431,
        "Request Header Fields Too Large",
        "the head is over the configured limit",
    );
    pub(crate) const TOO_MANY_FIELDS: Self = Self::new(
        431,
        "Request Header Fields Too Large",
        "the head has more fields than allowed",
    );
    pub(crate) const BAD_NODE: Self = Self::new(502, "Bad Gateway", "the node's answer was not usable");
    pub(crate) const UNREACHABLE: Self = Self::new(502, "Bad Gateway", "no node could be reached");
    pub(crate) const NO_NODE: Self = Self::new(503, "Service Unavailable", "no node is ready");
    pub(crate) const NO_STATE: Self = Self::new(
        503,
        "Service Unavailable",
        "the state of this session could not go on to another node; try again",
    );
    pub(crate) const FULL_NODE: Self = Self::new(
        503,
        "Service Unavailable",
        "the node of this session is at its limit; try again later",
    );
    pub(crate) const FULL: Self = Self::new(
        503,
        "Service Unavailable",
        "too many connections are open; try again later",
    );
    pub(crate) const NODE_TIMEOUT: Self =
        Self::new(504, "Gateway Timeout", "the node did not answer in time");
    pub(crate) const VERSION: Self = Self::new(
        505,
        "HTTP Version Not Supported",
        "HTTP/1.0, HTTP/1.1 and HTTP/2 are served here",
    );

    /// The body and its type: plain text where something is forbidden, else a problem document, RFC 9457.
    pub(crate) fn body(&self) -> (String, &'static str) {
        if self.status == 403 {
            return (format!("{}\n", self.detail), "text/plain");
        }
        let problem = format!(
            "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{},\"detail\":\"{}\"}}\n",
            self.title, self.status, self.detail
        );
        (problem, "application/problem+json")
    }

    /// The whole HTTP/1.1 answer.
    pub(crate) fn response(&self, keep_alive: bool, with_body: bool) -> Vec<u8> {
        let (body, kind) = self.body();
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let retry = if self.status == 503 {
            "Retry-After: 1\r\n"
        } else {
            ""
        };
        let mut response = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{retry}Connection: {connection}\r\n\r\n",
            self.status,
            self.title,
            body.len(),
        );
        if with_body {
            response.push_str(&body);
        }
        response.into_bytes()
    }
}
