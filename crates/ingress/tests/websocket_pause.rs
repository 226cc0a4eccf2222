//! What a client notices of a pause: its data waits, its pings and its close do not.

mod common;

use common::{
    Cluster, HOOKS,
    raw::{Frame, Message, Raw, RawNode, frame},
};

/// Two nodes that the test speaks for, and a client on the first of the two.
struct Stage {
    cluster: Cluster,
    nodes: [RawNode; 2],
    client: Raw,
    /// The old node's end of the WebSocket.
    old: Raw,
    from: usize,
    move_id: foreshift_wire::MoveId,
}

impl Stage {
    /// An open WebSocket whose move has begun.
    async fn set(more: &str) -> Self {
        Self::set_within(more, &[]).await
    }

    /// As [`Self::set`], after the client has sent this much, which the old node has got.
    async fn set_within(more: &str, begun: &[u8]) -> Self {
        let nodes = [RawNode::start().await, RawNode::start().await];
        let limits = "[ingress.limits]\npause_buffer_bytes = 65536";
        let mut cluster = Cluster::over(
            &[nodes[0].address, nodes[1].address],
            &format!("{HOOKS}{more}"),
            limits,
        )
        .await;
        let opened = Raw::websocket(cluster.address(), "ann", "");
        let serve = async {
            let (from, mut raw) = tokio::select! {
                raw = nodes[0].accept() => (0, raw),
                raw = nodes[1].accept() => (1, raw),
            };
            raw.agree("").await;
            (from, raw)
        };
        let ((mut client, _), (from, mut old)) = tokio::join!(opened, serve);
        client.send(begun).await;
        old.take(begun.len()).await;
        let move_id = cluster.order("ann", from, 1 - from).await;
        Self {
            cluster,
            nodes,
            client,
            old,
            from,
            move_id,
        }
    }

    /// Takes the hook's call on the old node; input is held from before then.
    async fn hook(&self) -> (Raw, Message) {
        let mut hook = self.nodes[self.from].accept().await;
        let call = hook.request().await.expect("the hook is called");
        assert_eq!(call.start, "POST /handoff HTTP/1.1");
        (hook, call)
    }

    /// Plays the new node's part and the old node's farewell. Returns the new node's WebSocket.
    async fn switch(&mut self, mut hook: Raw, mut new: Raw) -> Raw {
        hook.ok("state").await;
        let mut resume = self.nodes[1 - self.from].accept().await;
        let call = resume.request().await.expect("the state arrives");
        assert_eq!(
            (call.start.as_str(), call.text().as_str()),
            ("POST /resume HTTP/1.1", "state")
        );
        resume.ok("").await;
        let barrier = self.old_frame(9).await;
        self.old.send(frame(0x8a, false, &barrier.payload)).await;
        let request = new.agree("").await;
        let session = self.cluster.session("ann").to_string();
        assert_eq!(request.field("foreshift-resume"), Some(session));
        assert_eq!(
            request.field("foreshift-migrated-from"),
            Some(common::node_id(self.from).to_string())
        );
        self.cluster.outcome(self.move_id).await.expect("it moves");
        new
    }

    /// The old node's next frame, which must be of a kind.
    async fn old_frame(&mut self, opcode: u8) -> Frame {
        let frame = self.old.frame().await.expect("a frame");
        assert_eq!(frame.opcode, opcode, "{frame:?}");
        frame
    }
}

#[tokio::test]
async fn data_waits_for_the_new_node_and_pings_are_answered() {
    let mut stage = Stage::set("").await;
    let new = stage.nodes[1 - stage.from].accept().await;
    let (hook, call) = stage.hook().await;
    assert_eq!(
        call.field("foreshift-session"),
        Some(stage.cluster.session("ann").to_string())
    );
    assert_eq!(
        call.field("foreshift-handoff-to"),
        Some(common::node_id(1 - stage.from).to_string())
    );
    let id = stage.cluster.connections_of("ann").await[0].id;
    assert_eq!(call.field("foreshift-messages"), Some(format!("{id}=0")));

    let sent = [
        frame(0x81, true, b"one"),
        frame(0x01, true, b"tw"),
        frame(0x89, true, b"are you there?"),
        frame(0x80, true, b"o"),
        frame(0x8a, true, b"unasked"),
        frame(0x89, true, b""),
    ]
    .concat();
    // However the reads are cut.
    for piece in sent.chunks(3) {
        stage.client.send(piece).await;
    }
    for payload in [&b"are you there?"[..], b""] {
        let pong = stage.client.frame().await.unwrap();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (10, payload));
    }
    // A pong goes to the node that may have asked; and what the old node says still arrives.
    assert_eq!(stage.old_frame(10).await.payload, b"unasked");
    stage.old.send(frame(0x81, false, b"from the old node")).await;
    assert_eq!(stage.client.text().await, "from the old node");

    let mut new = stage.switch(hook, new).await;
    for (fin, opcode, payload) in [(true, 1, &b"one"[..]), (false, 1, b"tw"), (true, 0, b"o")] {
        let frame = new.frame().await.unwrap();
        assert_eq!(
            (frame.fin, frame.opcode, frame.payload.as_slice()),
            (fin, opcode, payload)
        );
    }
    // The old node hears nothing more but the farewell; what it says before its own comes first.
    assert_eq!(stage.old_frame(8).await.close_code(), Some(1000));
    new.send(frame(0x81, false, b"from the new node")).await;
    stage.old.send(frame(0x81, false, b"one last thing")).await;
    stage.old.send(frame(0x88, false, &[3, 232])).await;
    assert_eq!(stage.client.text().await, "one last thing");
    assert_eq!(stage.client.text().await, "from the new node");
}

#[tokio::test]
async fn a_switch_waits_for_the_end_of_a_fragmented_message() {
    let mut stage = Stage::set_within("", &frame(0x01, true, b"begun ")).await;
    let new = stage.nodes[1 - stage.from].accept().await;
    // The pause has been asked for by now or has not; either way the old node gets the whole message.
    stage
        .client
        .send([frame(0x80, true, b"ended"), frame(0x81, true, b"next")].concat())
        .await;
    let (hook, call) = stage.hook().await;
    let sent: u64 = call
        .field("foreshift-messages")
        .and_then(|m| m.split_once('=')?.1.parse().ok())
        .unwrap();
    let rest = stage.old_frame(0).await;
    assert_eq!(rest.payload, b"ended");
    if sent == 2 {
        assert_eq!(stage.old_frame(1).await.payload, b"next");
    }
    let mut new = stage.switch(hook, new).await;
    if sent == 1 {
        assert_eq!(new.text().await, "next");
    }
    stage.client.send(frame(0x81, true, b"last")).await;
    assert_eq!(new.text().await, "last");
}

#[tokio::test]
async fn a_close_is_answered_at_once_and_the_node_learns_of_it_in_its_turn() {
    let mut stage = Stage::set("").await;
    let new = stage.nodes[1 - stage.from].accept().await;
    let (hook, _) = stage.hook().await;
    stage.client.send(frame(0x81, true, b"one more thing")).await;
    stage.client.send(frame(0x88, true, &[0x0f, 0xa0])).await;
    assert_eq!(stage.client.frame().await.unwrap().close_code(), Some(4000));
    let mut new = stage.switch(hook, new).await;
    assert_eq!(new.text().await, "one more thing");
    assert_eq!(new.frame().await.unwrap().close_code(), Some(4000));
    stage.client.closes().await;
}

#[tokio::test]
async fn what_a_client_sent_before_it_vanished_reaches_the_new_node() {
    let mut stage = Stage::set("").await;
    let new = stage.nodes[1 - stage.from].accept().await;
    let (hook, _) = stage.hook().await;
    stage.client.send(frame(0x81, true, b"one more thing")).await;
    let gone = Raw::connect(stage.cluster.address()).await;
    drop(std::mem::replace(&mut stage.client, gone));
    let mut new = stage.switch(hook, new).await;
    assert_eq!(new.text().await, "one more thing");
    new.closes().await;
}

#[tokio::test]
async fn a_client_that_floods_a_pause_is_slowed_down() {
    let mut stage = Stage::set("").await;
    let new = stage.nodes[1 - stage.from].accept().await;
    let (hook, _) = stage.hook().await;
    let message = frame(0x82, true, &vec![7; 1 << 20]);
    let flood = message.repeat(64);
    // Until not a byte more is taken.
    let taken = fill(&stage.client, &flood).await;
    // 64 KiB are held, one read more, and the rest is in the kernel's buffers, whose limits are these:
    let limit = |file| -> usize {
        let text = std::fs::read_to_string(file).unwrap();
        text.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let kernel = limit("/proc/sys/net/ipv4/tcp_rmem") + limit("/proc/sys/net/ipv4/tcp_wmem");
    assert!(
        taken < kernel + 200_000,
        "{taken} bytes of {} were taken",
        flood.len()
    );

    let mut new = stage.switch(hook, new).await;
    let (rest, messages) = (flood[taken..].to_vec(), 64);
    let sending = stage.client.send(rest);
    let receiving = async {
        for _ in 0..messages {
            let frame = new.frame().await.unwrap();
            assert!(frame.payload.len() == 1 << 20 && frame.payload.iter().all(|b| *b == 7));
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_client_that_pings_a_pause_and_does_not_read_is_slowed_down() {
    let stage = Stage::set("migration_deadline = \"20s\"\n").await;
    let _new = stage.nodes[1 - stage.from].accept().await;
    let (_hook, _) = stage.hook().await;
    let flood = frame(0x89, true, &[7; 125]).repeat(400_000);
    let taken = fill(&stage.client, &flood).await;
    assert!(taken < flood.len(), "all {taken} bytes were taken");
}

/// Writes until nothing is taken for a while; returns how much was.
async fn fill(client: &Raw, bytes: &[u8]) -> usize {
    let mut at = 0;
    let quiet = std::time::Duration::from_millis(500);
    while at < bytes.len() {
        match client.stream.try_write(&bytes[at..]) {
            Ok(n) => at += n,
            Err(_) => {
                if tokio::time::timeout(quiet, client.stream.writable())
                    .await
                    .is_err()
                {
                    break;
                }
            }
        }
    }
    at
}
