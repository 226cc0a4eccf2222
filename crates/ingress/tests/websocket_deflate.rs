//! permessage-deflate, so that a switch does not need the compression's memory.

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, frame},
};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const AGREED: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

/// A handshake with a node that answers with these lines.
async fn negotiate(offer: &str, answer: &str) -> (u16, Option<String>, Option<String>) {
    let node = RawNode::start().await;
    let cluster = Cluster::over(&[node.address], "", "").await;
    let serve = async {
        let mut raw = node.accept().await;
        let request = raw.agree(answer).await;
        (raw, request)
    };
    let ((_client, reply), (_node, request)) =
        tokio::join!(Raw::websocket(cluster.address(), "ann", offer), serve);
    (
        reply.status(),
        request.field("sec-websocket-extensions"),
        reply.field("sec-websocket-extensions"),
    )
}

#[tokio::test]
async fn it_is_negotiated_without_context_or_declined() {
    const BARE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    // The node does not want it.
    let (status, offered, agreed) = negotiate(OFFER, "").await;
    assert_eq!((status, agreed), (101, None));
    assert_eq!(offered.unwrap(), format!("{BARE}; client_max_window_bits"));
    // It does.
    let (status, _, agreed) = negotiate(OFFER, AGREED).await;
    assert_eq!((status, agreed.as_deref()), (101, Some(BARE)));
    // It would keep the client's context, which the client may do without.
    let keeps = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    let (status, _, agreed) = negotiate(OFFER, keeps).await;
    assert_eq!((status, agreed.as_deref()), (101, Some(BARE)));
    // It keeps its own although it was asked not to.
    let (status, _, _) = negotiate(OFFER, "Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    assert_eq!(status, 502);
    // Nobody asked, or for something else.
    for offer in ["", "Sec-WebSocket-Extensions: x-unknown\r\n"] {
        let (status, offered, agreed) = negotiate(offer, "").await;
        assert_eq!((status, offered, agreed), (101, None, None), "{offer}");
    }
    let (status, _, _) = negotiate("", AGREED).await;
    assert_eq!(status, 502, "an extension that nobody offered");
}

/// Moves a compressed connection; the new node answers its handshake with these lines.
async fn moved(
    answer: &str,
) -> (
    Result<Vec<u64>, foreshift_wire::MoveFailure>,
    Raw,
    Raw,
    Raw,
    Cluster,
) {
    let nodes = [RawNode::start().await, RawNode::start().await];
    let mut cluster = Cluster::over(&[nodes[0].address, nodes[1].address], "", "").await;
    let serve = async {
        let (from, mut raw) = tokio::select! {
            raw = nodes[0].accept() => (0, raw),
            raw = nodes[1].accept() => (1, raw),
        };
        raw.agree(AGREED).await;
        (from, raw)
    };
    let ((client, _), (from, mut old)) = tokio::join!(Raw::websocket(cluster.address(), "ann", OFFER), serve);
    let id = cluster.order("ann", from, 1 - from).await;
    let mut new = nodes[1 - from].accept().await;
    let ping = old.frame().await.unwrap();
    old.send(frame(0x8a, false, &ping.payload)).await;
    new.agree(answer).await;
    let outcome = cluster.outcome(id).await;
    (outcome, client, old, new, cluster)
}

#[tokio::test]
async fn a_compressed_connection_moves() {
    let (outcome, mut client, old, mut new, _cluster) = moved(AGREED).await;
    outcome.expect("it moves");
    drop(old);
    // "Hello" deflated, RFC 7692 section 7.2.3.1.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    client.send(frame(0xc1, true, &hello)).await;
    let received = new.frame().await.unwrap();
    assert!(received.compressed && received.payload == hello, "{received:?}");
    new.send(frame(0xc1, false, &hello)).await;
    let received = client.frame().await.unwrap();
    assert!(received.compressed && received.payload == hello, "{received:?}");
}

#[tokio::test]
async fn a_node_that_negotiates_otherwise_does_not_get_it() {
    let (outcome, mut client, mut old, _new, _cluster) = moved("").await;
    let failure = outcome.expect_err("the client was told otherwise");
    assert!(
        matches!(failure, foreshift_wire::MoveFailure::Handshake { .. }),
        "{failure:?}"
    );
    client.send(frame(0x81, true, b"still here")).await;
    assert_eq!(old.text().await, "still here");
}
