//! HTTP clients are told to move by an answer, in both versions; one that does nothing is moved all the same.

mod common;

use bytes::Bytes;
use common::{
    Cluster, HOOKS, PATIENCE, node_id,
    raw::{Message, Raw},
};
use foreshift_wire::{Answer, IngressEvent, MoveFailure, MoveId, Told};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

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

/// The node that has answered, where only one has.
fn home(cluster: &Cluster) -> usize {
    let handled = [0, 1].map(|node| cluster.backend(node).stats().handled);
    assert!(handled.contains(&0), "{handled:?}");
    usize::from(handled[1] > 0)
}

/// A keep-alive client over HTTP/1.1.
struct Plain(Raw);

impl Plain {
    async fn connect(cluster: &Cluster) -> Self {
        Self(Raw::connect(cluster.address()).await)
    }

    async fn get(&mut self, more: &str) -> Message {
        let request = format!("GET /work?id=1 HTTP/1.1\r\nHost: lab.example:81\r\nx-user: ann\r\n{more}\r\n");
        self.0.send(request).await;
        self.0.answer(false).await
    }

    /// Asks until an answer says to move; returns that.
    async fn told(&mut self) -> Message {
        loop {
            let answer = self.get("").await;
            assert_eq!(answer.status(), 200);
            if answer.field("foreshift-migrate").is_some() {
                return answer;
            }
        }
    }
}

fn token(migrate: &str) -> &str {
    migrate.split('"').nth(3).expect("quoted")
}

#[tokio::test]
async fn a_client_that_does_not_understand_is_moved_by_the_proxy_once_its_time_is_over() {
    let pool = format!("{HOOKS}migration_strategy = \"client\"\nmigration_within = \"1s\"");
    let mut cluster = Cluster::start(2, &pool).await;
    let mut client = Plain::connect(&cluster).await;
    client.get("").await;
    let from = home(&cluster);
    let id = cluster.order("ann", from, 1 - from).await;
    let answer = client.told().await;
    assert_eq!(
        answer.field("alt-svc").as_deref(),
        Some("http%2F1.1=\"lab.example:81\"; ma=1")
    );
    let migrate = answer.field("foreshift-migrate").expect("both");
    assert!(
        migrate.starts_with("url=\"http://lab.example:81\", token=\"v1."),
        "{migrate}"
    );
    assert_eq!(home(&cluster), from);
    // Its requests are answered all the time, by the old node and then by the new one.
    while cluster.backend(1 - from).stats().handled == 0 {
        let answer = client.get("").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.field("foreshift-migrate"), None, "said once");
    }
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!(failure, None);
    // Where nothing of the session was open just then, its next request had it handed over.
    let detail = "the client did not come in time".into();
    let answer = told.map(|told| told.answer);
    assert!(
        answer.is_none() || answer == Some(Answer::FellBack { detail }),
        "{answer:?}"
    );
    let mut late = Plain::connect(&cluster).await;
    let more = format!("Foreshift-Token: {}\r\n", token(&migrate));
    assert_eq!(late.get(&more).await.status(), 403);
    assert_eq!(client.get("").await.status(), 200);
    assert_eq!(cluster.backend(from).stats().handed_over, 1);
}

#[tokio::test]
async fn with_auto_a_session_without_streams_is_handed_over_at_once_and_its_client_told_behind_that() {
    let mut cluster = Cluster::start(2, "migration_strategy = \"auto\"").await;
    let mut client = Plain::connect(&cluster).await;
    client.get("").await;
    let from = home(&cluster);
    let id = cluster.order("ann", from, 1 - from).await;
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!((failure, told), (None, None));
    let answer = client.get("").await;
    assert_eq!(cluster.backend(1 - from).stats().handled, 1);
    let migrate = answer.field("foreshift-migrate").expect("its next answer");
    let more = format!("Foreshift-Token: {}\r\n", token(&migrate));
    let mut new = Plain::connect(&cluster).await;
    for status in [200, 403] {
        let answer = new.get(&more).await;
        assert_eq!(answer.status(), status, "good once");
    }
    cluster.settle(cluster.session("ann"), &node_id(1 - from)).await;
}

#[tokio::test]
async fn with_proxy_no_answer_says_anything() {
    let mut cluster = Cluster::start(2, "").await;
    let mut client = Plain::connect(&cluster).await;
    client.get("").await;
    let from = home(&cluster);
    cluster
        .migrate("ann", from, 1 - from)
        .await
        .expect("it is handed over");
    let answer = client.get("").await;
    assert_eq!(answer.field("foreshift-migrate"), None);
    assert_eq!(answer.field("alt-svc"), None);
}

#[tokio::test]
async fn where_the_old_node_dies_nobody_waits_for_the_client() {
    let pool = format!("{HOOKS}migration_strategy = \"client\"\nmigration_within = \"10m\"");
    let mut cluster = Cluster::start(2, &pool).await;
    let mut client = Plain::connect(&cluster).await;
    client.get("").await;
    let from = home(&cluster);
    let address = cluster.backend(from).address();
    let id = cluster.order("ann", from, 1 - from).await;
    let answer = client.told().await;
    cluster.backends[from] = None;
    let down = foreshift_wire::NodeState::Down;
    cluster.set_state(from, address, down).await;
    // Long before the client's time is over.
    let (_, told) = outcome(&mut cluster, id).await;
    assert_eq!(told, None);
    let migrate = answer.field("foreshift-migrate").expect("told");
    let more = format!("Foreshift-Token: {}\r\n", token(&migrate));
    assert_eq!(client.get(&more).await.status(), 403);
    let mut again = Plain::connect(&cluster).await;
    assert_eq!(again.get("").await.status(), 200);
    assert_eq!(cluster.backend(1 - from).stats().handled, 1);
}

fn request(token: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::get("http://lab.example:81/work?id=1").header("x-user", "ann");
    if let Some(token) = token {
        request = request.header("foreshift-token", token);
    }
    request.body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn over_http2_goaway_comes_behind_the_answer_that_says_where_to_go() {
    let mut cluster = Cluster::start(2, &format!("{HOOKS}migration_strategy = \"client\"\n")).await;
    let address = cluster.address();
    let connect = async || {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("HTTP/2");
        (sender, tokio::spawn(connection))
    };
    let (mut sender, connection) = connect().await;
    let (mut second, _alive) = connect().await;
    let answer = sender.send_request(request(None)).await.expect("an answer");
    answer.into_body().collect().await.expect("whole");
    let from = home(&cluster);
    let id = cluster.order("ann", from, 1 - from).await;
    let migrate = loop {
        let answer = sender.send_request(request(None)).await.expect("an answer");
        let told = answer.headers().get("foreshift-migrate").cloned();
        let alt_svc = answer.headers().get("alt-svc").cloned();
        answer.into_body().collect().await.expect("whole");
        if let Some(told) = told {
            assert_eq!(alt_svc.expect("both"), "http%2F1.1=\"lab.example:81\"; ma=30");
            break told.to_str().expect("text").to_owned();
        }
    };
    // GOAWAY without an error: the connection ends as it should, although its client keeps it.
    let ended = timeout(PATIENCE, connection).await.expect("it ends");
    ended.expect("no panic").expect("in order");
    assert!(sender.is_closed());
    for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
        let request = request(Some(token(&migrate)));
        let answer = second.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), status, "good once");
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        if status == StatusCode::FORBIDDEN {
            assert_eq!(body, "the token was used before\n");
        }
    }
    let (failure, told) = outcome(&mut cluster, id).await;
    assert_eq!(failure, None);
    assert_eq!(told.expect("it was told").answer, Answer::Instructed);
    assert_eq!(cluster.backend(from).stats().handed_over, 1);
}
