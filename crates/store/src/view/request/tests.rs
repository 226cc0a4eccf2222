//! What is read, refused and read past.

use proptest::prelude::*;
use redis_protocol::resp2::{encode::extend_encode, types::BytesFrame};

use super::*;

const LIMITS: RequestLimits = RequestLimits {
    arguments: 16,
    argument_bytes: 64,
    skipped_bytes: 1 << 29,
    command_bytes: 128,
};

/// All requests of `bytes`, which come in parts.
fn read(bytes: &[u8], part: usize) -> (Vec<Request>, Option<Malformed>) {
    crate::parsers::redis_requests(bytes, part, &LIMITS)
}

fn command(words: &[&'static str]) -> Request {
    Request::Command(words.iter().map(|word| Bytes::from(*word)).collect())
}

#[test]
fn a_command_comes_as_an_array_or_as_a_line() {
    for (bytes, words) in [
        (&b"*1\r\n$4\r\nPING\r\n"[..], &["PING"][..]),
        (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &["ECHO", ""]),
        (b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n", &["ECHO", "a\r\nb"]),
        (b"*0\r\n*-1\r\n*1\r\n$1\r\na\r\n", &["a"]),
        (b"PING\r\n", &["PING"]),
        (b"\r\n\n  hget  a\tb \n", &["hget", "a", "b"]),
        (b"set \"a b\" 'c d'\n", &["set", "a b", "c d"]),
        (
            b"set \"\\x41\\n\\\"\\q\\x4\" 'it\\'s\\n'\n",
            &["set", "A\n\"qx4", "it's\\n"],
        ),
        (b"get \"\"\n", &["get", ""]),
    ] {
        for part in [1, 3, 100] {
            let shown = bytes.escape_ascii();
            assert_eq!(read(bytes, part), (vec![command(words)], None), "{shown}");
        }
    }
}

#[test]
fn what_is_no_request_is_refused_at_once() {
    for (bytes, text) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*1\n", "invalid multibulk length"),
        (b"*17\r\n", "invalid multibulk length"),
        (b"*9223372036854775807\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (
            b"*00000000000000000000000000000001\r\n",
            "invalid multibulk length",
        ),
        (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
        (b"*1\r\n*1\r\n", "expected '$', got '*'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (
            b"*1\r\n$1\r\nabc\r\n",
            "an argument is longer than its length says",
        ),
        (b"get \"a\n", "unbalanced quotes in request"),
        (b"get 'a'b\n", "unbalanced quotes in request"),
    ] {
        for part in [1, 100] {
            let error = Some(Malformed(text.into()));
            assert_eq!(read(bytes, part), (vec![], error), "{}", bytes.escape_ascii());
        }
    }
    let long = vec![b'a'; LINE_MAX];
    assert_eq!(
        read(&long, 1000).1,
        Some(Malformed::new("too big inline request"))
    );
}

#[test]
fn a_stranger_may_say_little() {
    for bytes in [&b"*11\r\n"[..], b"*1\r\n$16385\r\n"] {
        let refused = Requests::default().next(&mut bytes.into(), &RequestLimits::STRANGER);
        assert!(refused.unwrap_err().to_string().contains("invalid"));
    }
}

#[test]
fn what_is_too_large_is_read_past_and_told() {
    let mut bytes = b"*3\r\n$1\r\na\r\n$65\r\n".to_vec();
    bytes.extend([b'x'; 65]);
    bytes.extend(b"\r\n$1\r\nb\r\nPING\r\n");
    let one = Request::TooLarge { bytes: 65, limit: 64 };
    for part in [1, 7, 1000] {
        assert_eq!(read(&bytes, part), (vec![one.clone(), command(&["PING"])], None));
    }
    let mut bytes = b"*3\r\n".to_vec();
    for _ in 0..3 {
        bytes.extend(b"$60\r\n");
        bytes.extend([b'x'; 60]);
        bytes.extend(b"\r\n");
    }
    let all = Request::TooLarge {
        bytes: 180,
        limit: 128,
    };
    assert_eq!(read(&bytes, 5), (vec![all], None));
}

proptest! {
    #[test]
    fn what_another_hand_wrote_is_read_as_it_was_meant(
        commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..16), 1..8), 0..6),
        part in 1usize..40,
    ) {
        let mut bytes = BytesMut::new();
        for words in &commands {
            let words = words.iter().map(|word| BytesFrame::BulkString(word.clone().into()));
            extend_encode(&mut bytes, &BytesFrame::Array(words.collect()), false).unwrap();
        }
        let meant = commands.into_iter().map(|words| Request::Command(words.into_iter().map(Bytes::from).collect()));
        prop_assert_eq!(read(&bytes, part), (meant.collect(), None));
    }

    #[test]
    fn the_size_of_the_parts_changes_nothing(bytes in prop::collection::vec(prop::sample::select(&b"*$0129-ab\r\n\"'\\ "[..]), 0..60), part in 1usize..9) {
        prop_assert_eq!(read(&bytes, part), read(&bytes, 1000));
    }
}
