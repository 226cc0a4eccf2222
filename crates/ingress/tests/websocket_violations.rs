//! Frames that RFC 6455 forbids end the connection with the right code, whoever sends them.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, frame},
};

/// A client and the node behind, with an open WebSocket between them.
async fn pair() -> (Cluster, Raw, Raw) {
    let node = RawNode::start().await;
    let limits = "[ingress.limits]\nmessage_bytes = 1000";
    let cluster = Cluster::over(&[node.address], "", limits).await;
    let (client, at_node) = open(&cluster, &node).await;
    (cluster, client, at_node)
}

async fn open(cluster: &Cluster, node: &RawNode) -> (Raw, Raw) {
    let serve = async {
        let mut raw = node.accept().await;
        raw.agree("").await;
        raw
    };
    let ((client, answer), at_node) = tokio::join!(Raw::websocket(cluster.address(), "ann", ""), serve);
    assert_eq!(answer.status(), 101);
    (client, at_node)
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_how() {
    let long = frame(0x82, true, &[0; 1001]);
    let begun = [frame(0x01, true, &[0; 600]), frame(0x80, true, &[0; 600])].concat();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("not masked", frame(0x81, false, b"hello"), 1002),
        ("an opcode that is reserved", frame(0x83, true, b""), 1002),
        ("a control opcode that is reserved", frame(0x8b, true, b""), 1002),
        ("RSV1 without an extension", frame(0xc1, true, b""), 1002),
        ("RSV2", frame(0xa1, true, b""), 1002),
        ("a fragmented ping", frame(0x09, true, b""), 1002),
        ("a ping of over 125 bytes", frame(0x89, true, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, true, b""), 1002),
        (
            "a message inside another",
            [frame(0x01, true, b""), frame(0x81, true, b"")].concat(),
            1002,
        ),
        (
            "a length not in its shortest form",
            vec![0x82, 0xfe, 0, 5, 0, 0, 0, 0],
            1002,
        ),
        (
            "a length of 64 bits that is none",
            vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            1002,
        ),
        ("a message over the limit", long, 1009),
        ("fragments over the limit", begun, 1009),
        (
            "an absurd length",
            vec![
                0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
            ],
            1009,
        ),
    ];
    for (what, bytes, code) in cases {
        let (_cluster, mut client, mut at_node) = pair().await;
        client.send(&bytes).await;
        let close = client.frame().await.unwrap_or_else(|| panic!("{what}: cut"));
        assert_eq!(close.close_code(), Some(code), "{what}: {close:?}");
        client.closes().await;
        // The node learns of it at once, and sees nothing that is forbidden.
        let seen = at_node.until_closed().await;
        assert!(seen.len() < 700, "{what}: {} bytes", seen.len());
    }
}

#[tokio::test]
async fn a_node_that_breaks_the_protocol_is_closed_with_1014() {
    for (what, bytes) in [
        ("garbage", vec![0xff; 64]),
        ("masked", frame(0x81, true, b"hello")),
        ("a continuation of nothing", frame(0x80, false, b"")),
        ("http", b"HTTP/1.1 500 Oh\r\n\r\n".to_vec()),
    ] {
        let (_cluster, mut client, mut at_node) = pair().await;
        // What it said before arrives.
        at_node
            .send([frame(0x81, false, b"first"), frame(0x81, false, b"second"), bytes].concat())
            .await;
        assert_eq!(client.text().await, "first", "{what}");
        assert_eq!(client.text().await, "second", "{what}");
        let close = client.frame().await.unwrap_or_else(|| panic!("{what}: cut"));
        assert_eq!(close.close_code(), Some(1014), "{what}");
        client.closes().await;
    }
}

#[tokio::test]
async fn a_node_that_dies_is_a_1012() {
    let (_cluster, mut client, mut at_node) = pair().await;
    at_node.send(frame(0x81, false, b"last words")).await;
    drop(at_node);
    assert_eq!(client.text().await, "last words");
    assert_eq!(client.frame().await.unwrap().close_code(), Some(1012));
    client.closes().await;
}

#[tokio::test]
async fn a_node_that_dies_within_a_message_cuts_the_connection() {
    let (_cluster, mut client, mut at_node) = pair().await;
    let whole = frame(0x81, false, b"half of this");
    at_node.send(&whole[..6]).await;
    assert_eq!(client.take(6).await, &whole[..6]);
    drop(at_node);
    client.closes().await;
}

#[tokio::test]
async fn closing_goes_through_in_both_directions() {
    let (_cluster, mut client, mut at_node) = pair().await;
    client
        .send(frame(0x88, true, &[0x0f, 0xa0, b'b', b'y', b'e']))
        .await;
    assert_eq!(at_node.frame().await.unwrap().close_code(), Some(4000));
    at_node.send(frame(0x88, false, &[0x0f, 0xa1])).await;
    assert_eq!(client.frame().await.unwrap().close_code(), Some(4001));
    drop(at_node);
    client.closes().await;

    let (_cluster, mut client, mut at_node) = pair().await;
    at_node.send(frame(0x88, false, &[0x03, 0xe9])).await;
    assert_eq!(client.frame().await.unwrap().close_code(), Some(1001));
    client.send(frame(0x88, true, &[0x03, 0xe9])).await;
    assert_eq!(at_node.frame().await.unwrap().close_code(), Some(1001));
    drop(at_node);
    client.closes().await;
}

#[tokio::test]
async fn frames_pass_however_they_are_cut() {
    let (_cluster, mut client, mut at_node) = pair().await;
    let messages = [
        frame(0x81, true, b"whole"),
        frame(0x01, true, b"frag"),
        frame(0x89, true, b"ping"),
        frame(0x00, true, b"men"),
        frame(0x80, true, b"ted"),
        frame(0x82, true, &[7; 900]),
        frame(0x8a, true, b""),
    ]
    .concat();
    for byte in messages.chunks(1).take(60).chain(messages[60..].chunks(113)) {
        client.send(byte).await;
    }
    for (opcode, payload) in [
        (1, &b"whole"[..]),
        (1, b"frag"),
        (9, b"ping"),
        (0, b"men"),
        (0, b"ted"),
        (2, &[7; 900]),
        (10, b""),
    ] {
        let frame = at_node.frame().await.unwrap();
        assert_eq!((frame.opcode, frame.payload.as_slice()), (opcode, payload));
    }
}
