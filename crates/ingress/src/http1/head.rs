//! Request heads: read strictly, rewritten for the node in one pass.
//!
//! What two parsers could read differently is refused, because that is how requests are smuggled past a proxy:
//! both kinds of framing, repeated lengths, bare line feeds, folded lines, doubled `Host`.

use std::rc::Rc;

use foreshift_wire::{Cookie, KeySelector};

use super::{arrival, reject::Reject};
use crate::{
    forwarded,
    key::{Key, RequestParts, Source, select},
    marking::{Mark, Marking},
    message::Offer,
};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunked.
    Chunked,
    /// Until the connection ends; responses only.
    UntilClose,
}

/// Methods that the proxy treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    /// Safe to send again, RFC 9110 section 9.2.2.
    Idempotent,
    Other,
}

/// A request head that passed.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// Bytes of the input that it took.
    pub(crate) len: usize,
    pub(crate) method: Method,
    pub(crate) http10: bool,
    pub(crate) keep_alive: bool,
    pub(crate) framing: Framing,
    pub(crate) websocket: bool,
    pub(crate) key: Key,
    /// A cookie to issue with `key`.
    pub(crate) issue: Option<Cookie>,
    /// Of a WebSocket whose client can be told to move.
    pub(crate) offer: Option<Box<Offer>>,
    /// What a client that was told to move has brought.
    pub(crate) token: Option<Box<str>>,
    /// Where requests are marked.
    pub(crate) mark: Option<Rc<Mark>>,
}

/// What translating needs to know of the connection.
pub(crate) struct Context<'a> {
    pub(crate) selectors: &'a [KeySelector],
    pub(crate) source: Source<'a>,
    pub(crate) source_text: &'a str,
    /// The client speaks TLS with us.
    pub(crate) secure: bool,
    pub(crate) headers_max: usize,
    /// Add `Forwarded`.
    pub(crate) forwarded: bool,
    pub(crate) marking: &'a Marking,
}

impl Context<'_> {
    fn mark(&self, headers: &[httparse::Header<'_>]) -> Rc<Mark> {
        let sent = |name: &str| {
            let named = |h: &&httparse::Header<'_>| h.name.eq_ignore_ascii_case(name);
            headers.iter().find(named).map(|h| h.value)
        };
        Rc::new(self.marking.mark(sent, rand::random))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Plain,
    Drop,
    Host,
    Connection,
    Upgrade,
    ContentLength,
    TransferEncoding,
    Forwarded,
    ForwardedFor,
    Extensions,
    Protocols,
}

fn field(name: &str) -> Field {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is("te") => Field::Drop,
        4 if is("host") => Field::Host,
        7 if is("upgrade") => Field::Upgrade,
        7 if is("trailer") => Field::Drop,
        9 if is("forwarded") => Field::Forwarded,
        10 if is("connection") => Field::Connection,
        10 if is("keep-alive") => Field::Drop,
        14 if is("content-length") => Field::ContentLength,
        14 if is("http2-settings") => Field::Drop,
        15 if is("x-forwarded-for") => Field::ForwardedFor,
        16 if is("x-forwarded-host") || is("proxy-connection") => Field::Drop,
        17 if is("transfer-encoding") => Field::TransferEncoding,
        17 if is("x-forwarded-proto") => Field::Drop,
        19 if is("proxy-authorization") => Field::Drop,
        22 if is("sec-websocket-protocol") => Field::Protocols,
        24 if is("sec-websocket-extensions") => Field::Extensions,
        10.. if is_ours(name.as_bytes()) => Field::Drop,
        _ => Field::Plain,
    }
}

/// A name that only the proxy may use. With an underscore too: gateways to CGI and WSGI take it for a hyphen.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    let (Some(begin), Some(b'-' | b'_')) = (name.get(..9), name.get(9)) else {
        return false;
    };
    begin.eq_ignore_ascii_case(b"foreshift")
}

fn is_token(name: &str) -> bool {
    name.eq_ignore_ascii_case("foreshift-token")
}

/// What the fields say together.
#[derive(Default)]
struct Findings<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade_wanted: bool,
    websocket: bool,
    named: bool,
    /// A token came in its header.
    told: bool,
}

struct Parts<'h, 'b> {
    target: &'b str,
    headers: &'h [httparse::Header<'b>],
}

impl RequestParts for Parts<'_, '_> {
    fn target(&self) -> &str {
        self.target
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    }

    fn any_header(&self, name: &str, found: &mut dyn FnMut(&[u8]) -> bool) {
        let _ = self
            .headers
            .iter()
            .filter(|h| h.name.eq_ignore_ascii_case(name))
            .any(|h| found(h.value));
    }
}

/// Most fields that a head may have, whatever the configuration says.
pub(crate) const HEADERS_MAX: usize = 1000;
/// Heads of up to so many fields are read without a second try.
const HEADERS_USUAL: usize = 64;

/// Reads the head at the start of `input` and writes it, as the node shall see it, to `out`, without the final
/// empty line. `None` where the head is not complete yet.
pub(crate) fn translate(
    input: &[u8],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<RequestHead>, Reject> {
    let mut usual = [httparse::EMPTY_HEADER; HEADERS_USUAL];
    let mut request = httparse::Request::new(&mut usual);
    match request.parse(input) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(len)) => rewrite(&input[..len], &request, context, out).map(Some),
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; context.headers_max.min(HEADERS_MAX)];
            let mut request = httparse::Request::new(&mut many);
            match request.parse(input) {
                Ok(httparse::Status::Partial) => Ok(None),
                Ok(httparse::Status::Complete(len)) => {
                    rewrite(&input[..len], &request, context, out).map(Some)
                }
                Err(httparse::Error::TooManyHeaders) => Err(Reject::TOO_MANY_FIELDS),
                Err(_) => Err(Reject::MALFORMED),
            }
        }
        Err(httparse::Error::Version) if names_a_version(input) => Err(Reject::VERSION),
        Err(_) => Err(Reject::MALFORMED),
    }
}

/// Whether the request line has the right parts, so that only the version is one that is not served.
fn names_a_version(input: &[u8]) -> bool {
    let line = input.trim_ascii_start().split(|b| b"\r\n".contains(b)).next();
    let mut parts = line.unwrap_or_default().split(|b| *b == b' ').skip(2);
    parts.next().is_some_and(|v| v.starts_with(b"HTTP/")) && parts.next().is_none()
}

fn rewrite(
    head: &[u8],
    request: &httparse::Request<'_, '_>,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<RequestHead, Reject> {
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Reject::MALFORMED);
    };
    let headers = &*request.headers;
    if headers.len() > context.headers_max {
        return Err(Reject::TOO_MANY_FIELDS);
    }
    refuse_bare_line_feeds(head)?;
    let findings = examine(headers, minor)?;
    let (target, authority) = origin_form(method, target, context.secure)?;
    let host = authority.map(str::as_bytes).or(findings.host).unwrap_or_default();
    check_host(host)?;

    let websocket = findings.websocket && findings.upgrade_wanted && method == "GET" && minor == 1;
    let selected = select(context.selectors, &Parts { target, headers }, context.source);
    start(out, method, target, minor, host);
    let mark = context.marking.is_on().then(|| context.mark(headers));
    let offer = if websocket { arrival::offer(headers) } else { None };
    let token = match websocket || findings.told {
        true => arrival::token(headers, target, websocket),
        false => None,
    };
    copy_fields(out, headers, &findings, websocket, offer.as_ref(), |name| {
        mark.as_ref()
            .is_some_and(|mark| context.marking.replaces(name, mark))
    });
    add_forwarding(out, headers, host, context);
    if let Some(mark) = &mark {
        context.marking.write(mark, out);
    }
    Ok(RequestHead {
        len: head.len(),
        method: match method {
            "HEAD" => Method::Head,
            "GET" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Method::Idempotent,
            _ => Method::Other,
        },
        http10: minor == 0,
        keep_alive: if minor == 1 {
            !findings.close
        } else {
            findings.keep_alive && !findings.close
        },
        framing: match (findings.chunked, findings.length) {
            (true, _) => Framing::Chunked,
            (false, Some(0) | None) => Framing::Empty,
            (false, Some(length)) => Framing::Length(length),
        },
        websocket,
        issue: selected.issue.cloned(),
        offer: offer.map(Box::new),
        token,
        mark,
        key: selected.key,
    })
}

/// httparse takes a bare LF for a line's end; other servers do not.
fn refuse_bare_line_feeds(head: &[u8]) -> Result<(), Reject> {
    let bare = memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r');
    if bare { Err(Reject::BARE_LF) } else { Ok(()) }
}

fn examine<'a>(headers: &[httparse::Header<'a>], minor: u8) -> Result<Findings<'a>, Reject> {
    let mut found = Findings::default();
    for header in headers {
        match field(header.name) {
            Field::Host if found.host.replace(header.value).is_some() => return Err(Reject::HOST),
            Field::ContentLength => {
                if found.length.is_some() {
                    return Err(Reject::FRAMING);
                }
                found.length = Some(content_length(header.value).ok_or(Reject::FRAMING)?);
            }
            Field::TransferEncoding => {
                if found.chunked || minor == 0 || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reject::FRAMING);
                }
                found.chunked = true;
            }
            Field::Connection => {
                for token in tokens(header.value) {
                    match token {
                        _ if token.eq_ignore_ascii_case(b"close") => found.close = true,
                        _ if token.eq_ignore_ascii_case(b"keep-alive") => found.keep_alive = true,
                        _ if token.eq_ignore_ascii_case(b"upgrade") => found.upgrade_wanted = true,
                        _ => found.named = true,
                    }
                }
            }
            Field::Upgrade => {
                found.websocket |= tokens(header.value).any(|t| t.eq_ignore_ascii_case(b"websocket"));
            }
            Field::Drop if header.name.len() == 15 => found.told |= is_token(header.name),
            _ => {}
        }
    }
    if found.chunked && found.length.is_some() {
        return Err(Reject::FRAMING);
    }
    if found.host.is_none() && minor == 1 {
        return Err(Reject::HOST);
    }
    Ok(found)
}

/// Digits only: no sign, no list, no blanks inside.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|t| !t.is_empty())
}

/// The target without scheme and authority, and the authority where the target had one.
fn origin_form<'a>(
    method: &str,
    target: &'a str,
    secure: bool,
) -> Result<(&'a str, Option<&'a str>), Reject> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((target, None));
    }
    if method == "CONNECT" {
        return Err(Reject::CONNECT);
    }
    let after = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let https = || secure.then(|| after("https://")).flatten();
    let rest = after("http://").or_else(https).ok_or(Reject::TARGET)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || path.starts_with('?') {
        return Err(Reject::TARGET);
    }
    Ok((if path.is_empty() { "/" } else { path }, Some(authority)))
}

fn check_host(host: &[u8]) -> Result<(), Reject> {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+=:[]%".contains(b);
    if host.iter().all(allowed) {
        Ok(())
    } else {
        Err(Reject::HOST)
    }
}

fn start(out: &mut Vec<u8>, method: &str, target: &str, minor: u8, host: &[u8]) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(if minor == 1 {
        b" HTTP/1.1\r\n"
    } else {
        b" HTTP/1.0\r\n"
    });
    if minor == 1 || !host.is_empty() {
        line(out, b"Host", host);
    }
}

fn copy_fields(
    out: &mut Vec<u8>,
    headers: &[httparse::Header<'_>],
    findings: &Findings<'_>,
    websocket: bool,
    offer: Option<&Offer>,
    left_out: impl Fn(&str) -> bool,
) {
    for header in headers {
        match field(header.name) {
            Field::Plain if left_out(header.name) => {}
            Field::Plain if findings.named && named_by_connection(headers, header.name) => {}
            Field::Plain | Field::ContentLength | Field::TransferEncoding => {
                line(out, header.name.as_bytes(), header.value);
            }
            // What is said to such a client, and what it says, has to be read.
            Field::Extensions if offer.is_some() => {}
            Field::Protocols if offer.is_some() => {}
            Field::Protocols => line(out, header.name.as_bytes(), header.value),
            Field::Extensions if websocket => {
                if let Some(offer) = crate::ws::extensions::offer(header.value) {
                    line(out, b"Sec-WebSocket-Extensions", offer.as_bytes());
                }
            }
            _ => {}
        }
    }
    if let Some(offer) = offer.filter(|offer| !offer.protocols.is_empty()) {
        line(out, b"Sec-WebSocket-Protocol", &offer.protocols);
    }
    if websocket {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
}

/// Whether a `Connection` header declares `name` as meant for this hop only.
fn named_by_connection(headers: &[httparse::Header<'_>], name: &str) -> bool {
    headers
        .iter()
        .filter(|h| field(h.name) == Field::Connection)
        .any(|h| tokens(h.value).any(|t| t.eq_ignore_ascii_case(name.as_bytes())))
}

fn add_forwarding(out: &mut Vec<u8>, headers: &[httparse::Header<'_>], host: &[u8], context: &Context<'_>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    for header in headers.iter().filter(|h| field(h.name) == Field::ForwardedFor) {
        out.extend_from_slice(header.value);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(context.source_text.as_bytes());
    out.extend_from_slice(b"\r\n");
    line(out, b"X-Forwarded-Proto", proto(context.secure).as_bytes());
    if !host.is_empty() {
        line(out, b"X-Forwarded-Host", host);
    }
    // Without our element behind it, what the client says of itself is nothing to go by.
    if context.forwarded {
        out.extend_from_slice(b"Forwarded: ");
        for header in headers.iter().filter(|h| field(h.name) == Field::Forwarded) {
            out.extend_from_slice(header.value);
            out.extend_from_slice(b", ");
        }
        forwarded::element(out, context.source.address, host, proto(context.secure));
        out.extend_from_slice(b"\r\n");
    }
}

/// What the client speaks, by its scheme.
pub(crate) fn proto(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}

pub(crate) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(address: &str) -> Source<'_> {
        Source {
            address: address.parse().unwrap(),
            identity: None,
        }
    }

    fn run(input: &str) -> Result<Option<(RequestHead, String)>, Reject> {
        let context = Context {
            selectors: &[KeySelector::Header("x-user".into())],
            source: source("192.0.2.7"),
            source_text: "192.0.2.7",
            secure: false,
            headers_max: 100,
            forwarded: false,
            marking: &Marking::default(),
        };
        let mut out = Vec::new();
        let head = translate(input.as_bytes(), &context, &mut out)?;
        Ok(head.map(|head| (head, String::from_utf8(out).unwrap())))
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (input, status) in [
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                400,
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                400,
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET example.com HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ] {
            let rejected = run(input).expect_err(input);
            assert_eq!(rejected.status, status, "{input:?}");
        }
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(101));
        assert_eq!(run(&many).expect_err("too many fields").status, 431);
        let enough = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99));
        assert!(run(&enough).unwrap().is_some());
    }

    #[test]
    fn what_is_meant_for_this_hop_stays_here() {
        let (head, out) = run("GET http://b.example/x?q=1 HTTP/1.1\r\nHost: a\r\nx-user: ann\r\nConnection: close, x-secret\r\n\
            X-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nForeshift-Session: 00\r\nFORESHIFT-FAILOVER: a\r\n\
            Upgrade: h2c\r\nHTTP2-Settings: x\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nAccept: */*\r\n\r\n")
        .unwrap()
        .unwrap();
        assert_eq!(
            out,
            "GET /x?q=1 HTTP/1.1\r\nHost: b.example\r\nx-user: ann\r\nAccept: */*\r\n\
             X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b.example\r\n"
        );
        assert_eq!(head.key.as_slice(), b"ann");
        assert!(!head.keep_alive && !head.websocket);
    }

    #[test]
    fn a_websocket_handshake_keeps_its_upgrade() {
        let (head, out) = run("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: abc\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
        .unwrap()
        .unwrap();
        assert!(head.websocket);
        assert!(
            out.contains("Upgrade: websocket\r\n") && out.contains("Connection: Upgrade\r\n"),
            "{out}"
        );
        assert!(
            out.contains("server_no_context_takeover; client_no_context_takeover"),
            "{out}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let context = Context {
                selectors: &[KeySelector::PathSegment(0), KeySelector::Query("a".into())],
                source: source("::1"), source_text: "::1", secure: false, headers_max: 100,
                forwarded: true, marking: &Marking { request_id: Some("a".into()), sample: Some(0.5) },
            };
            let _ = translate(&bytes, &context, &mut Vec::new());
            let mut request = b"GET /".to_vec();
            request.extend(&bytes);
            let _ = translate(&request, &context, &mut Vec::new());
        }
    }
}
