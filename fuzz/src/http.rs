//! HTTP/1.1 heads and bodies, and the token that names a client.

use foreshift_ingress::parsers;

/// The head of a request: what is accepted ends where its empty line does, and what is written for the node is a head that is
/// accepted again, with one host, as one head and no more.
pub(crate) fn request_head(bytes: &[u8]) {
    let Ok(Some((len, head))) = parsers::request_head(bytes) else {
        return;
    };
    assert!(bytes[..len].ends_with(b"\r\n\r\n"));
    assert_eq!(
        parsers::request_head(&bytes[..len]).map(|h| h.map(|(len, _)| len)),
        Ok(Some(len))
    );
    let whole = [&head, &b"\r\n"[..]].concat();
    let again = parsers::request_head(&whole).expect("what we send is well-formed");
    let (again, _) = again.expect("and whole");
    assert_eq!(again, whole.len(), "nothing of it is left for a second request");
}

/// The head of a response.
pub(crate) fn response_head(bytes: &[u8]) {
    let Some((len, head)) = parsers::response_head(bytes) else {
        return;
    };
    assert!(len <= bytes.len());
    let whole = [&head, &b"\r\n"[..]].concat();
    let (again, _) = parsers::response_head(&whole).expect("what we send is well-formed");
    assert_eq!(again, whole.len());
}

/// A chunked body ends where it ends, in whatever parts it comes.
pub(crate) fn chunked(bytes: &[u8]) {
    let (part, bytes) = super::parts(bytes);
    assert_eq!(
        parsers::chunked(bytes, part),
        parsers::chunked(bytes, bytes.len())
    );
}

/// The payload of a JSON Web Token, which is not verified and so may be anything.
pub(crate) fn jwt_claim(bytes: &[u8]) {
    if let Some(claim) = parsers::token_claim(bytes) {
        assert!(claim.len() <= bytes.len());
    }
}
