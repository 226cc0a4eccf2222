//! One socket goes through twenty instructed moves, with numbered messages both ways: none is lost, doubled or out of order.

#[path = "../../ingress/tests/common/mod.rs"]
mod common;

use common::{Cluster, HOOKS, node_id};
use foreshift_client::{Message, Options, Socket};
use foreshift_lab::{Checker, Work};
use foreshift_wire::{Answer, IngressEvent};
use futures_util::{SinkExt, StreamExt};

const MOVES: u64 = 20;

fn options(user: &str) -> Options {
    Options {
        headers: vec![("x-user".into(), user.into())],
        ..Options::default()
    }
}

/// Sends one more work item.
async fn work(socket: &mut Socket, checker: &mut Checker) {
    let id = checker.send();
    let text = serde_json::to_string(&Work { id }).expect("a number");
    socket.send(Message::Text(text)).await.expect("it is open");
}

/// Takes what comes next.
async fn receive(socket: &mut Socket, checker: &mut Checker) {
    let message = socket.next().await.expect("it goes on").expect("it goes on");
    let Message::Text(text) = message else {
        panic!("{message:?}")
    };
    checker.receive(&serde_json::from_str(&text).expect("an answer"));
}

#[tokio::test]
async fn twenty_moves_lose_double_and_reorder_nothing() {
    let pool = format!("{HOOKS}migration_strategy = \"client\"\nmigration_within = \"20s\"\n");
    let mut cluster = Cluster::start(2, &pool).await;
    let url = format!("ws://{}/?push_ms=1", cluster.address());
    let mut socket = Socket::connect(url, options("ann")).await.expect("it connects");
    let mut checker = Checker::default();
    work(&mut socket, &mut checker).await;
    receive(&mut socket, &mut checker).await;
    for round in 1..=MOVES {
        let from = cluster.home("ann").await;
        let id = cluster.order("ann", from, 1 - from).await;
        let told = loop {
            // Both directions are never still while it moves.
            if checker.pending() < 8 {
                work(&mut socket, &mut checker).await;
            }
            tokio::select! {
                biased;
                told = cluster.event(|event| match event {
                    IngressEvent::HandedOver { move_id: Some(other), failure, told, .. } if other == id => {
                        assert_eq!(failure, None);
                        Some(told)
                    }
                    _ => None,
                }) => break told,
                () = receive(&mut socket, &mut checker) => {}
            }
        };
        assert_eq!(
            told.expect("it was told").answer,
            Answer::Instructed,
            "round {round}"
        );
        cluster.settle(cluster.session("ann"), &node_id(1 - from)).await;
        assert_eq!(cluster.home("ann").await, 1 - from);
    }
    while checker.pending() > 0 || socket.migrations() < MOVES {
        receive(&mut socket, &mut checker).await;
    }
    assert_eq!(socket.migrations(), MOVES);
    let tally = checker.tally();
    assert!(tally.is_clean(), "{tally:?}");
    let stats = [cluster.backend(0).stats(), cluster.backend(1).stats()];
    assert_eq!(stats[0].handed_over + stats[1].handed_over, MOVES);
    socket.close(1000, "done").await;
    while let Some(message) = socket.next().await {
        message.expect("it ends in order");
    }
}

#[tokio::test]
async fn all_connections_of_a_key_follow_and_the_session_goes_with_them() {
    let pool = format!("{HOOKS}migration_strategy = \"auto\"\nmigration_within = \"20s\"\n");
    let mut cluster = Cluster::start(2, &pool).await;
    let url = format!("ws://{}/", cluster.address());
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::connect(url.clone(), options("ann"))
            .await
            .expect("it connects");
        let mut checker = Checker::default();
        work(&mut socket, &mut checker).await;
        receive(&mut socket, &mut checker).await;
        sockets.push((socket, checker));
    }
    let from = cluster.home("ann").await;
    let pauses = cluster.migrate("ann", from, 1 - from).await.expect("it moves");
    assert_eq!(pauses.len(), 3);
    for (socket, checker) in &mut sockets {
        work(socket, checker).await;
        receive(socket, checker).await;
        assert_eq!(socket.migrations(), 1);
        assert!(checker.tally().is_clean(), "{:?}", checker.tally());
    }
}

/// Takes one connection, echoes a message, and takes leave.
async fn serve_one(listener: &tokio::net::TcpListener, code: u16) {
    use tokio_tungstenite::tungstenite::{
        self,
        handshake::server::{Request, Response},
        protocol::CloseFrame,
    };
    let (stream, _) = listener.accept().await.expect("somebody comes");
    #[allow(
        clippy::result_large_err,
        clippy::unnecessary_wraps,
        reason = "the callback's type"
    )]
    let agree = |_: &Request, mut response: Response| {
        let protocol = "foreshift.v1".parse().expect("a value");
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let mut ws = tokio_tungstenite::accept_hdr_async(stream, agree)
        .await
        .expect("a handshake");
    let message = ws.next().await.expect("a message").expect("a message");
    ws.send(message).await.expect("it is there");
    let (code, reason) = (code.into(), "".into());
    ws.close(Some(CloseFrame { code, reason }))
        .await
        .expect("it is there");
    while let Some(Ok(message)) = ws.next().await {
        assert!(matches!(message, tungstenite::Message::Close(_)), "{message:?}");
    }
}

#[tokio::test]
async fn a_socket_whose_server_restarts_goes_on_and_one_whose_server_ends_it_ends() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("it is bound"));
    let (restarts, restarted) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        serve_one(&listener, 1012).await;
        restarts.send(()).expect("the test waits");
        serve_one(&listener, 1008).await;
    });
    let mut options = options("ann");
    options.persistence.backoff_min_ms = 1;
    let mut socket = Socket::connect(url, options).await.expect("it connects");
    let mut restarted = Some(restarted);
    for text in ["before", "behind"] {
        socket.send(Message::Text(text.into())).await.expect("it is open");
        let echo = socket.next().await.expect("an echo").expect("an echo");
        assert_eq!(echo, Message::Text(text.into()));
        if let Some(restarted) = restarted.take() {
            // What is sent to a server that is leaving is lost with it.
            restarted.await.expect("it restarts");
        }
    }
    let end = socket
        .next()
        .await
        .expect("an error")
        .expect_err("refused for good");
    assert!(end.to_string().contains("1008"), "{end}");
    assert!(socket.next().await.is_none());
    server.await.expect("it served both");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_an_error_at_once() {
    let error = Socket::connect("ws://127.0.0.1:1/", Options::default())
        .await
        .unwrap_err();
    let foreshift_client::Error::Closed { code, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(code, 1006);
}
