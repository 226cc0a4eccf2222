//! The PROXY protocol, versions 1 and 2: who a connection comes from, in front of what is said on it.
//!
//! Pure: bytes in, a header out. A listener states one version and takes no other, since a receiver that guesses
//! lets any client name any address. Reading from a socket within time is in `receive`; who may send one is the
//! listener's `trusted`.

mod receive;
mod v1;
mod v2;

use std::net::SocketAddr;

use foreshift_wire::ProxyVersion;

pub(crate) use self::receive::{Refused, receive};

/// Longest header of version 1, its line end included.
pub(crate) const V1_MAX: usize = 107;
/// Longest header of version 2 that is taken; its own limit is 65,551. Large ones carry certificates, which nobody here reads.
pub(crate) const V2_MAX: usize = 16 + 4096;

/// What a header says of the connection that it is in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy speaks for itself, or of nothing that has an IP address: the socket's own addresses count.
    Own,
    /// For a client. Both addresses are of one family, as the constructor sees to.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
    },
}

impl Header {
    /// For a client. Where only one of the addresses is IPv4, that one is written as an IPv6 address.
    pub fn client(source: SocketAddr, destination: SocketAddr) -> Self {
        let (source, destination) = (canonical(source), canonical(destination));
        let (source, destination) = match source.is_ipv4() == destination.is_ipv4() {
            true => (source, destination),
            false => (mapped(source), mapped(destination)),
        };
        Self::Client { source, destination }
    }
}

/// Without what no header carries: flow label, scope, an IPv4 address within IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

/// Why bytes are no header of the version that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They begin otherwise.
    #[error("it does not begin with a PROXY protocol header of this version")]
    NoHeader,
    /// They begin as they should, and go on otherwise.
    #[error("the header is malformed: {0}")]
    Malformed(&'static str),
    /// More than is taken.
    #[error("the header is longer than {max} bytes")]
    TooLong {
        /// Bytes that are taken.
        max: usize,
    },
    /// Its CRC32C is another than it says.
    #[error("the header's checksum does not match")]
    Checksum,
}

/// Reads a header from the beginning of `bytes`: what it says and how long it is. `None`: it is right so far, and more
/// bytes are needed; then all of them belong to the header.
pub fn parse(version: ProxyVersion, bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    match version {
        ProxyVersion::V1 => v1::parse(bytes),
        ProxyVersion::V2 => v2::parse(bytes),
    }
}

/// Adds a header to `out`; at most 107 bytes in version 1, and 52 in version 2.
pub fn write(version: ProxyVersion, header: &Header, out: &mut Vec<u8>) {
    match (version, *header) {
        (_, Header::Own) => out.extend_from_slice(version.own_header()),
        (ProxyVersion::V1, Header::Client { source, destination }) => v1::write(source, destination, out),
        (ProxyVersion::V2, Header::Client { source, destination }) => v2::write(source, destination, out),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    fn header() -> impl Strategy<Value = Header> {
        prop_oneof![
            Just(Header::Own),
            (address(), address()).prop_map(|(source, destination)| Header::client(source, destination)),
        ]
    }

    fn version() -> impl Strategy<Value = ProxyVersion> {
        prop_oneof![Just(ProxyVersion::V1), Just(ProxyVersion::V2)]
    }

    /// Bytes that are nearly a header, so that garbage gets past the first comparison.
    fn nearly(version: ProxyVersion) -> impl Strategy<Value = Vec<u8>> {
        let (begin, rest) = match version {
            ProxyVersion::V1 => (b"PROXY ".to_vec(), 0..120),
            ProxyVersion::V2 => (version.own_header()[..12].to_vec(), 0..300),
        };
        let byte = prop_oneof![
            any::<u8>(),
            prop::sample::select(&b"TCP46 .:\r\n0123456789af\x00\x03\x04\x11\x21"[..])
        ];
        prop::collection::vec(byte, rest).prop_map(move |rest| [&begin[..], &rest].concat())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(version in version(), header in header(), behind: Vec<u8>) {
            let mut bytes = Vec::new();
            write(version, &header, &mut bytes);
            let length = bytes.len();
            bytes.extend(behind);
            prop_assert_eq!(parse(version, &bytes), Ok(Some((header, length))));
        }

        #[test]
        fn a_header_that_is_not_whole_yet_is_waited_for(version in version(), header in header(), at: prop::sample::Index) {
            let mut bytes = Vec::new();
            write(version, &header, &mut bytes);
            bytes.truncate(at.index(bytes.len()));
            prop_assert_eq!(parse(version, &bytes), Ok(None));
        }

        #[test]
        fn garbage_is_refused_or_waited_for_within_bounds(
            (version, bytes) in version().prop_flat_map(|v| (Just(v), prop_oneof![nearly(v), any::<Vec<u8>>()]))
        ) {
            let max = if version == ProxyVersion::V1 { V1_MAX } else { V2_MAX };
            let mut judged = None;
            for at in 0..=bytes.len() {
                let parsed = parse(version, &bytes[..at]);
                if let Some(before) = judged {
                    // Once it is decided, more bytes change nothing.
                    prop_assert_eq!(parsed, before);
                }
                match parsed {
                    Ok(None) => prop_assert!(at < max),
                    Ok(Some((_, length))) => {
                        prop_assert!(length <= at);
                        judged = Some(parsed);
                    }
                    Err(_) => judged = Some(parsed),
                }
            }
        }

        #[test]
        fn no_version_is_taken_for_the_other(header in header()) {
            for (written, expected) in [(ProxyVersion::V1, ProxyVersion::V2), (ProxyVersion::V2, ProxyVersion::V1)] {
                let mut bytes = Vec::new();
                write(written, &header, &mut bytes);
                prop_assert_eq!(parse(expected, &bytes), Err(Error::NoHeader));
            }
        }
    }
}
