//! Response heads: read from the node, rewritten for the client in one pass.

use super::head::{Framing, Method, content_length, line, tokens};
use crate::orca::{Carried, is_report};

/// The node's answer is not HTTP that could be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node's answer is not HTTP/1.1")]
pub(crate) struct BadResponse;

/// A response head that passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// Bytes of the input that it took.
    pub(crate) len: usize,
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// The node keeps the connection open.
    pub(crate) keep_alive: bool,
    pub(crate) event_stream: bool,
    /// `Sec-WebSocket-Extensions` of a 101, as the node answered it.
    pub(crate) extensions: Option<Vec<u8>>,
    pub(crate) accept: Option<Vec<u8>>,
    /// `Retry-After` in seconds, where the status is one that may be tried again.
    pub(crate) retry_after: Option<u32>,
    /// `Sec-WebSocket-Protocol`
    pub(crate) protocol: Option<Vec<u8>>,
    /// The node's load report, taken out of the head.
    pub(crate) load: Option<Carried>,
}

impl ResponseHead {
    /// 100, 102, 103: another head follows.
    pub(crate) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Reads the head at the start of `input` and writes it, as the client shall see it, to `out`, without the final
/// empty line and without `Connection`. `None` where it is not complete yet.
pub(crate) fn translate(
    input: &[u8],
    method: Method,
    out: &mut Vec<u8>,
) -> Result<Option<ResponseHead>, BadResponse> {
    translate_with(input, method, false, out)
}

/// As [`translate`]; with `reports` a load report is taken out of the head.
pub(crate) fn translate_with(
    input: &[u8],
    method: Method,
    reports: bool,
    out: &mut Vec<u8>,
) -> Result<Option<ResponseHead>, BadResponse> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(input) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(len)) => rewrite(len, &response, method, reports, out).map(Some),
        Err(httparse::Error::TooManyHeaders) => {
            let mut headers = vec![httparse::EMPTY_HEADER; super::head::HEADERS_MAX];
            let mut response = httparse::Response::new(&mut headers);
            match response.parse(input) {
                Ok(httparse::Status::Partial) => Ok(None),
                Ok(httparse::Status::Complete(len)) => {
                    rewrite(len, &response, method, reports, out).map(Some)
                }
                Err(_) => Err(BadResponse),
            }
        }
        Err(_) => Err(BadResponse),
    }
}

#[derive(Default)]
struct Findings {
    length: Option<u64>,
    chunked: bool,
    encoded: bool,
    close: bool,
    keep_alive: bool,
    event_stream: bool,
    extensions: Option<Vec<u8>>,
    accept: Option<Vec<u8>>,
    retry_after: Option<u32>,
    protocol: Option<Vec<u8>>,
    load: Option<Carried>,
}

fn rewrite(
    len: usize,
    response: &httparse::Response<'_, '_>,
    method: Method,
    reports: bool,
    out: &mut Vec<u8>,
) -> Result<ResponseHead, BadResponse> {
    let (Some(status), Some(minor)) = (response.code, response.version) else {
        return Err(BadResponse);
    };
    if status < 100 {
        return Err(BadResponse);
    }
    write_status(out, status, response.reason.unwrap_or_default());
    let found = copy_fields(response.headers, status, reports, out)?;
    let framing = match () {
        () if method == Method::Head || status < 200 || status == 204 || status == 304 => Framing::Empty,
        () if found.chunked => Framing::Chunked,
        () if found.encoded => Framing::UntilClose,
        () => found.length.map_or(Framing::UntilClose, Framing::Length),
    };
    Ok(ResponseHead {
        len,
        status,
        framing,
        keep_alive: framing != Framing::UntilClose
            && !found.close
            && (minor == 1 || found.keep_alive)
            && status != 101,
        event_stream: found.event_stream && status == 200,
        extensions: found.extensions,
        accept: found.accept,
        retry_after: found.retry_after,
        protocol: found.protocol,
        load: found.load,
    })
}

/// Seconds. A date (RFC 9110, 10.2.3) would need the node's clock: it counts as far away.
pub(crate) fn retry_after(value: &[u8]) -> u32 {
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    text.parse().unwrap_or(u32::MAX)
}

fn write_status(out: &mut Vec<u8>, status: u16, reason: &str) {
    if status == 200 && reason == "OK" {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend([
        b'0' + (status / 100) as u8,
        b'0' + (status / 10 % 10) as u8,
        b'0' + (status % 10) as u8,
        b' ',
    ]);
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn copy_fields(
    headers: &[httparse::Header<'_>],
    status: u16,
    reports: bool,
    out: &mut Vec<u8>,
) -> Result<Findings, BadResponse> {
    let mut found = Findings::default();
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            6 if is("accept") => {}
            7 if is("upgrade") => continue,
            10 if is("connection") => {
                for token in tokens(header.value) {
                    found.close |= token.eq_ignore_ascii_case(b"close");
                    found.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
                continue;
            }
            10 if is("keep-alive") => continue,
            11 if status >= 429 && is("retry-after") => {
                found.retry_after = Some(retry_after(header.value));
            }
            12 if is("content-type") => {
                let kind = header.value.split(|b| *b == b';').next().unwrap_or_default();
                found.event_stream = kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream");
            }
            14 if is("content-length") => {
                let length = content_length(header.value).ok_or(BadResponse)?;
                if found.length.is_some_and(|other| other != length) {
                    return Err(BadResponse);
                }
                if found.length.replace(length).is_some() {
                    continue;
                }
            }
            16 if is("proxy-connection") => continue,
            17 if is("transfer-encoding") => {
                found.chunked = tokens(header.value)
                    .last()
                    .is_some_and(|t| t.eq_ignore_ascii_case(b"chunked"));
                found.encoded = true;
            }
            20 if is("sec-websocket-accept") => found.accept = Some(header.value.to_vec()),
            22 if is("sec-websocket-protocol") => found.protocol = Some(header.value.to_vec()),
            21 | 25 if reports && is_report(header.name.as_bytes()) => {
                Carried::keep(&mut found.load, header.name.as_bytes(), header.value);
                continue;
            }
            24 if is("sec-websocket-extensions") => {
                found.extensions = Some(header.value.to_vec());
                if status == 101 {
                    continue;
                }
            }
            _ => {}
        }
        line(out, header.name.as_bytes(), header.value);
    }
    if found.encoded && found.length.is_some() {
        return Err(BadResponse);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_follows_the_rules() {
        for (head, method, framing, keep_alive) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                Method::Idempotent,
                Framing::Length(5),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                Method::Head,
                Framing::Empty,
                true,
            ),
            (
                "HTTP/1.1 204 No Content\r\n\r\n",
                Method::Other,
                Framing::Empty,
                true,
            ),
            (
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                Method::Idempotent,
                Framing::Empty,
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Method::Other,
                Framing::Chunked,
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\n",
                Method::Other,
                Framing::UntilClose,
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
                Method::Other,
                Framing::Length(5),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
                Method::Other,
                Framing::Length(5),
                false,
            ),
        ] {
            let response = translate(head.as_bytes(), method, &mut Vec::new())
                .unwrap()
                .unwrap();
            assert_eq!(
                (response.framing, response.keep_alive),
                (framing, keep_alive),
                "{head:?}"
            );
        }
    }

    #[test]
    fn garbage_from_a_node_is_not_passed_on() {
        for head in [
            "\x16\x03\x01garbage\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 007 Bond\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
        ] {
            assert!(
                translate(head.as_bytes(), Method::Other, &mut Vec::new()).is_err(),
                "{head:?}"
            );
        }
    }

    #[test]
    fn the_head_is_passed_on_without_this_hops_fields() {
        let mut out = Vec::new();
        let head = "HTTP/1.1 404 Not Found\r\nX-A: 1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n";
        translate(head.as_bytes(), Method::Idempotent, &mut out)
            .unwrap()
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 404 Not Found\r\nX-A: 1\r\nContent-Length: 0\r\n"
        );
    }
}
