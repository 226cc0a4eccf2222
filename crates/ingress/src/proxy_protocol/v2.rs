//! Version 2: binary, with extensions, of which only the checksum is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Error, Header, V2_MAX};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Type of the extension with a CRC32C of the whole header, itself counted as zero.
const CRC32C: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes[..begun] != SIGNATURE[..begun] {
        return Err(Error::NoHeader);
    }
    if let Some(command) = bytes.get(12)
        && !matches!(*command, LOCAL | PROXY)
    {
        return Err(Error::Malformed("version or command is not known"));
    }
    let Some(length) = bytes.get(14..FIXED) else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length > V2_MAX {
        return Err(Error::TooLong { max: V2_MAX });
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    Ok(Some((read(header)?, length)))
}

fn read(header: &[u8]) -> Result<Header, Error> {
    let (command, family, rest) = (header[12], header[13], &header[FIXED..]);
    let short = Error::Malformed("its addresses are cut off");
    let addresses = match family >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(Error::Malformed("its address family is not known")),
    };
    if family & 15 > 2 {
        return Err(Error::Malformed("its transport protocol is not known"));
    }
    if command == LOCAL && rest.len() < addresses {
        // The sender may leave them out, and whatever is there is to be skipped.
        return Ok(Header::Own);
    }
    let extensions = rest.get(addresses..).ok_or(short)?;
    // Of an unspecified family, whatever follows may be an address that is to be skipped.
    if family >> 4 != 0 {
        verify(header, extensions)?;
    }
    match (command, family) {
        (PROXY, 0x11) => Ok(client::<4>(rest)),
        (PROXY, 0x21) => Ok(client::<16>(rest)),
        // Datagrams and UNIX sockets have no TCP address to give.
        _ => Ok(Header::Own),
    }
}

/// Two addresses of `N` bytes, then two ports; `rest` has them, as its length was looked at.
fn client<const N: usize>(rest: &[u8]) -> Header {
    let address = |n: usize| -> SocketAddr {
        let ip = &rest[n * N..][..N];
        let port = &rest[2 * N + 2 * n..][..2];
        let ip = match <[u8; 4]>::try_from(ip) {
            Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
            Err(_) => {
                let mut v6 = [0; 16];
                v6[..N].copy_from_slice(ip);
                IpAddr::V6(Ipv6Addr::from(v6))
            }
        };
        SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
    };
    Header::Client {
        source: address(0),
        destination: address(1),
    }
}

/// Looks at the extensions' lengths, and at the checksum where there is one.
fn verify(header: &[u8], mut extensions: &[u8]) -> Result<(), Error> {
    while !extensions.is_empty() {
        let cut = Error::Malformed("an extension is cut off");
        let [kind, high, low, ..] = *extensions else {
            return Err(cut);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = extensions.get(3..3 + length).ok_or(cut)?;
        if kind == CRC32C {
            let stated: [u8; 4] = value
                .try_into()
                .map_err(|_| Error::Malformed("its checksum has not four bytes"))?;
            let at = header.len() - extensions.len() + 3;
            let zeroed = [&header[..at], &[0; 4], &header[at + 4..]];
            if crc32c(&zeroed) != u32::from_be_bytes(stated) {
                return Err(Error::Checksum);
            }
        }
        extensions = &extensions[3 + length..];
    }
    Ok(())
}

/// CRC-32C (Castagnoli), as in RFC 9260, appendix A, of all parts together. Bit by bit: headers are short, and few have one.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (carry * 0x82f6_3b78);
        }
    }
    !crc
}

pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    let (family, length): (u8, u16) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    out.extend_from_slice(&[PROXY, family]);
    out.extend_from_slice(&length.to_be_bytes());
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const ADDRESSES: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 0xbb];

    #[test]
    fn the_checksum_is_that_of_rfc_9260() {
        // The check value of CRC-32C in the catalogue of CRC algorithms.
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    }

    #[test]
    fn families_and_commands_are_told_apart() {
        let named = Header::Client {
            source: "192.0.2.1:56324".parse().unwrap(),
            destination: "198.51.100.2:443".parse().unwrap(),
        };
        let six = [0xab; 36];
        let unix = [0; 216];
        let ssl_and_noop = [&ADDRESSES[..], &[0x20, 0, 2, 1, 1], &[4, 0, 0]].concat();
        for (bytes, expected) in [
            (header(PROXY, 0x11, &ADDRESSES), Some(named)),
            (header(PROXY, 0x11, &ssl_and_noop), Some(named)),
            (header(LOCAL, 0x00, &[]), Some(Header::Own)),
            (header(LOCAL, 0x11, &ADDRESSES), Some(Header::Own)),
            (header(LOCAL, 0x11, &[1]), Some(Header::Own)),
            (header(PROXY, 0x00, &[1, 2, 3]), Some(Header::Own)),
            (header(PROXY, 0x12, &ADDRESSES), Some(Header::Own)),
            (header(PROXY, 0x22, &six), Some(Header::Own)),
            (header(PROXY, 0x31, &unix), Some(Header::Own)),
            (header(PROXY, 0x11, &ADDRESSES[..11]), None),
            (header(PROXY, 0x21, &six[..35]), None),
            (header(PROXY, 0x31, &unix[..215]), None),
            (header(PROXY, 0x41, &unix), None),
            (header(PROXY, 0x13, &ADDRESSES), None),
            (header(0x22, 0x11, &ADDRESSES), None),
            (header(0x11, 0x11, &ADDRESSES), None),
            (header(PROXY, 0x11, &[&ADDRESSES[..], &[4, 0]].concat()), None),
            (
                header(PROXY, 0x11, &[&ADDRESSES[..], &[4, 0, 2, 9]].concat()),
                None,
            ),
            (
                header(PROXY, 0x11, &[&ADDRESSES[..], &[3, 0, 1, 9]].concat()),
                None,
            ),
        ] {
            match expected {
                Some(header) => assert_eq!(parse(&bytes), Ok(Some((header, bytes.len()))), "{bytes:02x?}"),
                None => assert!(matches!(parse(&bytes), Err(Error::Malformed(_))), "{bytes:02x?}"),
            }
        }
    }

    #[test]
    fn a_checksum_that_is_there_must_match() {
        let mut bytes = header(
            PROXY,
            0x11,
            &[&ADDRESSES[..], &[CRC32C, 0, 4, 0, 0, 0, 0], &[4, 0, 1, 7]].concat(),
        );
        let crc = crc32c(&[&bytes]);
        bytes[31..35].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(parse(&bytes), Ok(Some((Header::Client { .. }, n))) if n == bytes.len()));
        for at in [16, 27, 31, 38] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(parse(&damaged), Err(Error::Checksum), "{at}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let mut bytes = header(PROXY, 0x11, &ADDRESSES);
        bytes[14..16].copy_from_slice(&4097_u16.to_be_bytes());
        assert_eq!(parse(&bytes), Err(Error::TooLong { max: V2_MAX }));
    }
}
