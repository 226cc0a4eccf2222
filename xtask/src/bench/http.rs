//! As much HTTP/1.1 as load and backend need, and no more: both ends are ours, the proxy between is what is measured.

/// Length of the head that `bytes` begins with, its empty line included; `None` while it is incomplete.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The value of a field in a head. `name` in lower case.
pub(super) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (field, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        field
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}

/// The status of a response's head.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let text = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The length that a head announces for its body.
pub(super) fn content_length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(field(head, "content-length")?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let bytes = b"HTTP/1.1 200 OK\r\nX: y\r\nCONTENT-Length: 64\r\n\r\nbody";
        let length = head_length(bytes).unwrap();
        assert_eq!(&bytes[length..], b"body");
        assert_eq!(status(bytes), Some(200));
        assert_eq!(content_length(&bytes[..length]), Some(64));
        assert_eq!(field(&bytes[..length], "x"), Some(&b"y"[..]));
        assert_eq!(field(&bytes[..length], "content"), None);
    }

    #[test]
    fn half_a_head_is_none() {
        assert_eq!(head_length(b"HTTP/1.1 200 OK\r\nX: y\r\n"), None);
    }
}
