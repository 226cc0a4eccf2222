//! A client that was told to move changes its connection together with its node; one that does not is moved all the same.

mod common;

use common::{
    Cluster, HOOKS, node_id,
    raw::{Message, Raw, frame},
};
use foreshift_wire::{Answer, IngressEvent, MoveFailure, MoveId, Told};
use serde_json::Value;

const OFFER: &str = "Sec-WebSocket-Protocol: foreshift.v1\r\n";

/// A client by hand, with one socket or, during a move, two.
struct Client {
    socket: Raw,
}

impl Client {
    async fn connect(cluster: &Cluster, user: &str) -> Self {
        let (socket, answer) = Raw::websocket(cluster.address(), user, OFFER).await;
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.field("foreshift-client").as_deref(), Some("v1"));
        assert_eq!(
            answer.field("sec-websocket-protocol").as_deref(),
            Some("foreshift.v1")
        );
        Self { socket }
    }

    async fn send(&mut self, text: &str) {
        self.socket.send(frame(0x81, true, text.as_bytes())).await;
    }

    /// The next instruction; what comes before it is given to `seen`.
    async fn instruction(&mut self) -> Value {
        loop {
            let text = self.socket.text().await;
            if let Some(control) = text.strip_prefix('\u{1e}') {
                let control: Value = serde_json::from_str(control).unwrap();
                assert_eq!(control["foreshift"], "migrate");
                return control;
            }
        }
    }

    async fn come_back(cluster: &Cluster, user: &str, token: &str) -> (Raw, Message) {
        let more = format!("{OFFER}Foreshift-Token: {token}\r\n");
        Raw::websocket(cluster.address(), user, &more).await
    }
}

/// How a move ended, and what its client did.
async fn outcome(cluster: &mut Cluster, id: MoveId) -> (Option<MoveFailure>, Option<Told>) {
    cluster
        .event(|event| match event {
            IngressEvent::HandedOver {
                move_id: Some(other),
                failure,
                told,
                ..
            } if other == id => Some((failure, told)),
            _ => None,
        })
        .await
}

fn fell_back(told: Option<Told>) -> String {
    match told.expect("it was told").answer {
        Answer::FellBack { detail } => detail,
        Answer::Instructed => panic!("it moved by itself"),
    }
}

const TELL: &str = "migration_strategy = \"client\"\nmigration_within = \"1s\"\n";

async fn cluster() -> Cluster {
    Cluster::start(2, &format!("{HOOKS}{TELL}")).await
}

async fn echo(socket: &mut Raw, text: &str) {
    socket.send(frame(0x81, true, text.as_bytes())).await;
    let answer = socket.text().await;
    assert!(!answer.starts_with('\u{1e}'), "{answer}");
}

#[tokio::test]
async fn the_second_connection_takes_the_first_ones_place() {
    let mut cluster = cluster().await;
    let mut client = Client::connect(&cluster, "ann").await;
    echo(&mut client.socket, "1").await;
    for round in 0..4 {
        let from = cluster.home("ann").await;
        let id = cluster.order("ann", from, 1 - from).await;
        let told = client.instruction().await;
        let token = told["token"].as_str().unwrap();
        assert_eq!(told["url"], "ws://lab/chat");
        assert_eq!(told["within_ms"], 1000);
        echo(&mut client.socket, "on the old one").await;
        let (mut new, answer) = Client::come_back(&cluster, "ann", token).await;
        assert_eq!(answer.status(), 101, "round {round}");
        let session = cluster.session("ann");
        assert_eq!(
            new.text().await,
            format!("\u{1e}{{\"foreshift\":\"resumed\",\"session\":\"{session}\"}}")
        );
        client.send("last on the old one").await;
        client
            .send(&format!(
                "\u{1e}{{\"foreshift\":\"moved\",\"token\":\"{token}\"}}"
            ))
            .await;
        new.send(frame(0x81, true, b"first on the new one")).await;
        // The old node's answer comes on the old connection, then it is closed.
        client.socket.text().await;
        let close = client.socket.frame().await.expect("a close frame");
        assert_eq!(close.close_code(), Some(1000));
        assert_eq!(&close.payload[2..], b"moved");
        new.text().await;
        echo(&mut new, "more on the new one").await;
        let (failure, told) = outcome(&mut cluster, id).await;
        assert_eq!(failure, None);
        assert_eq!(told.unwrap().answer, Answer::Instructed);
        cluster.settle(cluster.session("ann"), &node_id(1 - from)).await;
        assert_eq!(cluster.home("ann").await, 1 - from);
        client.socket = new;
    }
    let handed_over = cluster.backend(0).stats().handed_over + cluster.backend(1).stats().handed_over;
    assert_eq!(handed_over, 4);
}

#[tokio::test]
async fn a_client_that_does_nothing_is_moved_by_the_proxy() {
    let mut cluster = cluster().await;
    let mut client = Client::connect(&cluster, "ann").await;
    echo(&mut client.socket, "1").await;
    let from = cluster.home("ann").await;
    let id = cluster.order("ann", from, 1 - from).await;
    client.instruction().await;
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!(failure, None);
    assert_eq!(fell_back(told), "the client did not come in time");
    assert_eq!(cluster.home("ann").await, 1 - from);
    echo(&mut client.socket, "2").await;
}

#[tokio::test]
async fn a_client_that_refuses_is_moved_by_the_proxy_at_once_and_its_node_hears_nothing_of_it() {
    let mut cluster = Cluster::start(2, &format!("{HOOKS}migration_strategy = \"client\"")).await;
    let mut client = Client::connect(&cluster, "ann").await;
    echo(&mut client.socket, "1").await;
    let from = cluster.home("ann").await;
    let id = cluster.order("ann", from, 1 - from).await;
    client.instruction().await;
    client
        .send("\u{1e}{\"foreshift\":\"refused\",\"reason\":\"busy\"}")
        .await;
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!(failure, None);
    assert_eq!(fell_back(told), "the client refused: busy");
    echo(&mut client.socket, "2").await;
}

#[tokio::test]
async fn a_token_is_good_once_for_its_own_client_and_while_it_lasts() {
    let mut cluster = cluster().await;
    let mut client = Client::connect(&cluster, "ann").await;
    let mut other = Client::connect(&cluster, "bob").await;
    echo(&mut client.socket, "1").await;
    echo(&mut other.socket, "1").await;
    let from = cluster.home("ann").await;
    let id = cluster.order("ann", from, 1 - from).await;
    let told = client.instruction().await;
    let token = told["token"].as_str().unwrap().to_owned();
    let forged = {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let swapped: String = signature.chars().rev().collect();
        format!("{signed}.{swapped}")
    };
    for (user, token, why) in [
        ("bob", token.as_str(), "the token is for another session"),
        ("ann", &forged, "the token's signature is wrong"),
        ("ann", &token[..token.len() - 8], "the token's signature is wrong"),
        ("ann", "", "the token is malformed"),
    ] {
        let mut raw = Raw::connect(cluster.address()).await;
        let more = format!("{OFFER}Foreshift-Token: {token}\r\n");
        raw.send(common::raw::handshake(user, &more)).await;
        let answer = raw.answer(false).await;
        let allowed = ["the token is malformed", why];
        assert_eq!(answer.status(), 403, "{why}");
        assert!(
            allowed.contains(&answer.text().trim()),
            "{why}: {}",
            answer.text()
        );
    }
    let (_new, answer) = Client::come_back(&cluster, "ann", &token).await;
    assert_eq!(answer.status(), 101);
    let (_, answer) = Client::come_back(&cluster, "ann", &token).await;
    assert_eq!(answer.status(), 403, "used twice");
    // It came, but does not go on: the proxy does.
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!(failure, None);
    assert_eq!(fell_back(told), "the client came but did not go on");
    echo(&mut client.socket, "2").await;
    cluster.settle(cluster.session("ann"), &node_id(1 - from)).await;
    // And one that has expired.
    let home = cluster.home("ann").await;
    let id = cluster.order("ann", home, 1 - home).await;
    let told = client.instruction().await;
    outcome(&mut cluster, id).await;
    let (_, answer) = Client::come_back(&cluster, "ann", told["token"].as_str().unwrap()).await;
    assert_eq!(answer.status(), 403, "too late");
}

#[tokio::test]
async fn a_client_that_cannot_be_told_stays_or_is_moved_by_the_proxy_as_the_pool_says() {
    for (strategy, moves) in [("client", false), ("auto", true)] {
        let pool = format!("{HOOKS}migration_strategy = \"{strategy}\"");
        let mut cluster = Cluster::start(2, &pool).await;
        let (mut socket, answer) = Raw::websocket(cluster.address(), "ann", "").await;
        assert_eq!(answer.field("foreshift-client"), None);
        echo(&mut socket, "1").await;
        let from = cluster.home("ann").await;
        let id = cluster.order("ann", from, 1 - from).await;
        let (failure, told) = outcome(&mut cluster, id).await;
        assert_eq!(failure.is_none(), moves, "{strategy}: {failure:?}");
        assert_eq!(told, None);
        echo(&mut socket, "2").await;
    }
}

#[tokio::test]
async fn where_the_new_node_cannot_be_reached_the_client_goes_on_with_the_old_one_on_its_new_connection() {
    let mut cluster = cluster().await;
    let mut client = Client::connect(&cluster, "ann").await;
    echo(&mut client.socket, "1").await;
    let from = cluster.home("ann").await;
    cluster.backends[1 - from] = None;
    let id = cluster.order("ann", from, 1 - from).await;
    let told = client.instruction().await;
    let (_new, answer) = Client::come_back(&cluster, "ann", told["token"].as_str().unwrap()).await;
    assert_eq!(answer.status(), 101);
    let (failure, told) = outcome(&mut cluster, id).await;
    assert!(
        matches!(failure, Some(MoveFailure::Connect { .. })),
        "{failure:?}"
    );
    assert_eq!(fell_back(told), "the hand-over failed");
    // It was never told to go on, so it is still where it was.
    echo(&mut client.socket, "2").await;
}
