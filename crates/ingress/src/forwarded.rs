//! The `Forwarded` field, RFC 7239: who asked, for which host, by which protocol.

use std::{io::Write as _, net::IpAddr};

/// Writes the element that this hop adds: `for=192.0.2.7;host=a.example;proto=http`.
///
/// What is no token is quoted, IPv6 addresses are bracketed too. `host` is one that was checked: it has no quote and no
/// backslash.
pub(crate) fn element(out: &mut Vec<u8>, source: IpAddr, host: &[u8], proto: &str) {
    let _ = match source.to_canonical() {
        IpAddr::V4(v4) => write!(out, "for={v4}"),
        IpAddr::V6(v6) => write!(out, "for=\"[{v6}]\""),
    };
    if !host.is_empty() {
        out.extend_from_slice(b";host=");
        let quote: &[u8] = if host.iter().all(is_token) { b"" } else { b"\"" };
        out.extend_from_slice(quote);
        out.extend_from_slice(host);
        out.extend_from_slice(quote);
    }
    let _ = write!(out, ";proto={proto}");
}

/// RFC 9110, 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_quoted() {
        for (source, host, expected) in [
            (
                "192.0.2.7",
                "a.example",
                "for=192.0.2.7;host=a.example;proto=https",
            ),
            (
                "192.0.2.7",
                "a.example:8080",
                "for=192.0.2.7;host=\"a.example:8080\";proto=https",
            ),
            (
                "2001:db8::1",
                "[::1]",
                "for=\"[2001:db8::1]\";host=\"[::1]\";proto=https",
            ),
            ("::ffff:192.0.2.7", "", "for=192.0.2.7;proto=https"),
        ] {
            let mut out = Vec::new();
            element(&mut out, source.parse().unwrap(), host.as_bytes(), "https");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
