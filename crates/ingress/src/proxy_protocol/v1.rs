//! Version 1: one line of text.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Error, Header, V1_MAX};

const BEGIN: &[u8] = b"PROXY ";

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    let begun = bytes.len().min(BEGIN.len());
    if bytes[..begun] != BEGIN[..begun] {
        return Err(Error::NoHeader);
    }
    let line = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        return match bytes.len() < V1_MAX {
            true => Ok(None),
            false => Err(Error::TooLong { max: V1_MAX }),
        };
    };
    let text = line[..end]
        .strip_suffix(b"\r")
        .ok_or(Error::Malformed("its line does not end with CR LF"))?;
    let fields = &text.get(BEGIN.len()..).unwrap_or_default();
    Ok(Some((read(fields)?, end + 1)))
}

fn read(fields: &[u8]) -> Result<Header, Error> {
    let fields = std::str::from_utf8(fields).map_err(|_| Error::Malformed("it is not ASCII"))?;
    // Behind UNKNOWN, anything up to the line's end is to be ignored.
    if fields == "UNKNOWN" || fields.starts_with("UNKNOWN ") {
        return Ok(Header::Own);
    }
    let parts: Vec<&str> = fields.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = parts[..] else {
        return Err(Error::Malformed("it does not have two addresses and two ports"));
    };
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => Ipv4Addr::from_str(text).ok().map(IpAddr::V4),
            "TCP6" => Ipv6Addr::from_str(text).ok().map(IpAddr::V6),
            _ => None,
        }
    };
    if !matches!(family, "TCP4" | "TCP6") {
        return Err(Error::Malformed("it names neither TCP4, TCP6 nor UNKNOWN"));
    }
    let address = |text, port| Some(SocketAddr::new(ip(text)?, self::port(port)?));
    match (
        address(source, source_port),
        address(destination, destination_port),
    ) {
        (Some(source), Some(destination)) => Ok(Header::Client { source, destination }),
        _ => Err(Error::Malformed("an address or a port is none")),
    }
}

/// Decimal, without leading zeros or a sign.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    write!(out, "PROXY {family} {from} {to} {from_port} {to_port}\r\n")
        .expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_specification_has_them() {
        let client = |source: &str, destination: &str| {
            Some(Header::Client {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
            })
        };
        for (line, header) in [
            (
                "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
                client("192.0.2.1:56324", "198.51.100.2:443"),
            ),
            (
                "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
                client("[2001:db8::1]:1", "[2001:db8::2]:65535"),
            ),
            ("PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
            ("PROXY UNKNOWN\r\n", Some(Header::Own)),
            (
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                Some(Header::Own),
            ),
            ("PROXY UNKNOWNX\r\n", None),
            ("PROXY \r\n", None),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", None),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n", None),
            ("PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 +5632 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", None),
            ("PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n", None),
            ("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", None),
            ("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", None),
            ("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", None),
            ("PROXY UNKNOWN\n", None),
        ] {
            let parsed = parse(line.as_bytes());
            match header {
                Some(header) => assert_eq!(parsed, Ok(Some((header, line.len()))), "{line}"),
                None => assert!(matches!(parsed, Err(Error::Malformed(_))), "{line}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn a_line_may_have_107_bytes() {
        let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
        assert_eq!(parse(line(107).as_bytes()), Ok(Some((Header::Own, 107))));
        for bytes in [line(108), line(107).replace("\r\n", "xx")] {
            assert_eq!(parse(bytes.as_bytes()), Err(Error::TooLong { max: 107 }));
        }
        for other in ["GET / HTTP/1.1\r\n", "proxy TCP4", "\r\n", "PROXYX"] {
            assert_eq!(parse(other.as_bytes()), Err(Error::NoHeader), "{other}");
        }
    }
}
