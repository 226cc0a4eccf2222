//! Headers of the PROXY protocol.

use foreshift_ingress::parsers::{proxy_protocol, write_proxy_protocol};
use foreshift_wire::ProxyVersion;

pub(crate) fn v1(bytes: &[u8]) {
    header(ProxyVersion::V1, bytes);
}

pub(crate) fn v2(bytes: &[u8]) {
    header(ProxyVersion::V2, bytes);
}

/// What is read can be written and is then the same, and neither what comes behind a header nor how much of it is there
/// changes what it says.
fn header(version: ProxyVersion, bytes: &[u8]) {
    let Ok(Some((header, len))) = proxy_protocol(version, bytes) else {
        return;
    };
    assert_eq!(proxy_protocol(version, &bytes[..len]), Ok(Some((header, len))));
    for end in 0..len {
        assert_eq!(
            proxy_protocol(version, &bytes[..end]),
            Ok(None),
            "not whole yet at {end}"
        );
    }
    let mut written = Vec::new();
    write_proxy_protocol(version, &header, &mut written);
    assert_eq!(
        proxy_protocol(version, &written),
        Ok(Some((header, written.len())))
    );
}
