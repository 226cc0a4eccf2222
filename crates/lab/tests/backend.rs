//! A backend as its clients see it, with nothing in between.

use std::{net::SocketAddr, time::Duration};

use foreshift_lab::{
    Answer, Backend, BackendOptions, Fault, HttpClient, Socket, SocketOptions, Step, Style, Swarm,
    SwarmOptions,
};
use tokio::time::timeout;

async fn backend(name: &str) -> Backend {
    let options = BackendOptions {
        name: name.into(),
        ..BackendOptions::default()
    };
    Backend::start(options).await.expect("a free port")
}

fn as_connection(address: SocketAddr, session: &str, more: &[(&str, &str)]) -> SocketOptions {
    let own = [("foreshift-session", session), ("foreshift-connection", "7")];
    let headers = own
        .iter()
        .chain(more)
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    SocketOptions {
        address,
        path: "/".into(),
        headers,
        tls: None,
    }
}

async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
    let mut request = hyper::Request::post(path).header("foreshift-session", "s");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(bytes::Bytes::copy_from_slice(body).into()).unwrap();
    let response = HttpClient::new(address).send(request).await.unwrap();
    (response.status().as_u16(), response.body().to_vec())
}

#[tokio::test]
async fn a_session_counts_over_websocket_and_http_alike() {
    let backend = backend("a").await;
    let mut socket = Socket::connect(&SocketOptions::new(backend.address(), "ada"))
        .await
        .unwrap();
    let mut http = HttpClient::new(backend.address());
    for expected in [1, 3, 5] {
        socket.send(b"", Style::Text).await.unwrap();
        assert_eq!(socket.next().await.unwrap().0.count, expected);
        let response = http.get("/work", &[("x-user", "ada")]).await.unwrap();
        let answer: Answer = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(answer.count, expected + 1);
    }
    assert_eq!(backend.stats().handled, 6);
    assert!(socket.close().await.is_clean());
}

#[tokio::test]
async fn a_session_follows_its_owner_through_the_hook_and_back() {
    let (a, b) = (backend("a").await, backend("b").await);
    let mut socket = Socket::connect(&as_connection(a.address(), "s", &[]))
        .await
        .unwrap();
    socket.send(b"", Style::Text).await.unwrap();
    let before = socket.next().await.unwrap().0;

    let (status, state) = post(a.address(), "/handoff", &[("foreshift-messages", "7=1")], b"").await;
    assert_eq!(status, 200);
    let resumed = [("foreshift-resume", "s"), ("foreshift-migrated-from", "a")];
    let opening = as_connection(b.address(), "s", &resumed);
    let refused = Socket::connect(&opening).await.unwrap_err();
    assert!(refused.to_string().contains("409"), "{refused}");
    assert_eq!(post(b.address(), "/resume", &[], &state).await.0, 200);
    let mut moved = Socket::connect(&opening).await.unwrap();
    moved.send(b"", Style::Text).await.unwrap();
    let after = moved.next().await.unwrap().0;
    assert_eq!((after.epoch, after.count, &*after.node), (before.epoch, 2, "b"));

    // Aborted: the old node goes on with the socket that it still has.
    assert_eq!(
        post(
            a.address(),
            "/resume",
            &[("foreshift-handoff-aborted", "1")],
            &state
        )
        .await
        .0,
        200
    );
    socket.send(b"", Style::Text).await.unwrap();
    assert_eq!(socket.next().await.unwrap().0.count, 2);
    assert!(socket.tally().is_clean());
}

#[tokio::test]
async fn a_lost_state_is_noticed() {
    let a = backend("a").await;
    let mut socket = Socket::connect(&as_connection(a.address(), "s", &[]))
        .await
        .unwrap();
    for _ in 0..2 {
        socket.send(b"", Style::Text).await.unwrap();
        socket.next().await.unwrap();
        post(a.address(), "/handoff", &[], b"").await;
    }
    assert_eq!(socket.tally().counters_lost, 1);
}

#[tokio::test]
async fn a_failing_handshake_looks_like_its_fault() {
    for (fault, sign) in [
        (Fault::Refuse, "503"),
        (Fault::Reset, "reset"),
        (Fault::Garbage, "invalid"),
        (Fault::Die, "not finished"),
    ] {
        let backend = backend("a").await;
        backend.fail(Step::Handshake, fault).await;
        let error = Socket::connect(&SocketOptions::new(backend.address(), "ada"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().to_lowercase().contains(sign),
            "{fault:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_stalled_step_says_nothing_until_it_is_healed() {
    let backend = backend("a").await;
    backend.fail(Step::Health, Fault::Stall).await;
    let mut http = HttpClient::new(backend.address());
    timeout(Duration::from_millis(50), http.get("/healthz", &[]))
        .await
        .unwrap_err();
    backend.heal().await;
    let mut http = HttpClient::new(backend.address());
    assert_eq!(http.get("/healthz", &[]).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_closed_port_opens_again_at_the_same_address() {
    let backend = backend("a").await;
    let mut before = HttpClient::new(backend.address());
    before.get("/healthz", &[]).await.unwrap();
    backend.fail(Step::Accept, Fault::Refuse).await;
    HttpClient::new(backend.address())
        .get("/healthz", &[])
        .await
        .unwrap_err();
    assert_eq!(before.get("/healthz", &[]).await.unwrap().status(), 200);
    backend.heal().await;
    HttpClient::new(backend.address())
        .get("/healthz", &[])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_killed_backend_drops_its_sockets_and_a_swarm_says_so() {
    let backend = backend("a").await;
    let options = SwarmOptions {
        patience: Duration::from_millis(200),
        ..SwarmOptions::new(backend.address(), 5)
    };
    let swarm = Swarm::start(options).await.unwrap();
    backend.kill().await;
    assert_eq!(swarm.stop().await.closed_early, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_finds_nothing_wrong_with_a_sound_backend() {
    let backend = backend("a").await;
    let swarm = Swarm::start(SwarmOptions {
        sockets_per_user: 2,
        interval: Duration::from_millis(2),
        large_per_mille: 20,
        ..SwarmOptions::new(backend.address(), 20)
    });
    let swarm = swarm.await.unwrap();
    while backend.stats().handled < 2_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = swarm.stop().await;
    assert!(report.tally.is_clean(), "{report:?}");
    assert!(
        report.tally.sent >= 2_000 && report.tally.pushed > 0,
        "{report:?}"
    );
    assert_eq!((report.closed_early, backend.stats().disorder), (0, 0));
}

#[tokio::test]
async fn events_go_on_after_the_one_seen_last() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let backend = backend("a").await;
    let mut stream = tokio::net::TcpStream::connect(backend.address()).await.unwrap();
    let request = b"GET /events?every_ms=1 HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 6\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut ids = Vec::new();
    while ids.len() < 3 {
        let line = lines.next_line().await.unwrap().expect("more events");
        ids.extend(line.strip_prefix("id: ").map(str::to_owned));
    }
    assert_eq!(ids, ["7", "8", "9"]);
}
