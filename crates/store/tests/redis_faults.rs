//! Each fault of a server is an error that says what is wrong and whether a write may have been done; none hangs.

mod common;

use std::time::{Duration, Instant};

use common::{
    proxy::Proxy,
    redis::{Server, ask, free_port, host, is_installed},
    sessions::{all, begin, done, only, set},
};
use foreshift_store::{
    Error,
    engine::{Engine, If, Redis},
};
use foreshift_wire::{Session, SessionId};

const ID: SessionId = SessionId(7);

fn quick(session: Session) -> Redis {
    let timeout = foreshift_wire::Duration::from_millis(400);
    Redis::open(&Session { timeout, ..session }).expect("a URL")
}

fn at(url: String) -> Session {
    Session {
        urls: vec![url],
        ..Session::default()
    }
}

/// What a write fails with, and whether it may have been done.
async fn failure(engine: &Redis, version: u64) -> (String, bool) {
    let began = Instant::now();
    let outcome = engine.write(set(ID, version, If::Any, "k", "new")).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it does not hang");
    match outcome {
        Err(Error::Unavailable { detail, unknown }) => (detail, unknown),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_used_says_why() {
    if !is_installed() {
        return;
    }
    let plain = Server::start(&[]).await;
    let locked = Server::with_password("hunter2").await;
    let wrong = at(locked.url().replace("hunter2", "hunter3"));
    let gone = format!("redis://{}:{}", host(), free_port());
    let cluster = Session {
        cluster: true,
        ..plain.session()
    };
    let proxy = Proxy::before(plain.port).await;
    proxy.trouble.stalls.send_replace(true);
    for (case, session, says) in [
        ("gone", at(gone), "refused the connection"),
        (
            "stalled",
            at(format!("redis://127.0.0.1:{}", proxy.port)),
            "did not answer in time",
        ),
        (
            "no password",
            at(locked.url().replace(":hunter2@", "")),
            "wants a password",
        ),
        ("wrong password", wrong, "refused the user or password"),
        ("no cluster", cluster, "session.cluster = false"),
    ] {
        let (detail, unknown) = failure(&quick(session), 1).await;
        assert!(detail.contains(says), "{case}: {detail}");
        assert!(!unknown, "{case}: nothing was sent");
        assert!(!detail.contains("hunter"), "{case}: {detail}");
        assert!(detail.contains("127."), "{case} names the server: {detail}");
    }
    let right = Redis::open(&locked.session()).unwrap();
    begin(&right, [ID]).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_why_and_keeps_what_it_has() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let engine = quick(server.session());
    begin(&engine, [ID]).await;
    engine.write(set(ID, 1, If::Absent, "k", "old")).await.unwrap();
    let mut beside = server.connect().await;
    let nobody = free_port().to_string();
    for (version, sets, unsets, says) in [
        (
            2,
            ["config", "set", "maxmemory", "1"],
            ["config", "set", "maxmemory", "0"],
            "is full (OOM)",
        ),
        (
            3,
            ["config", "set", "min-replicas-to-write", "1"],
            ["config", "set", "min-replicas-to-write", "0"],
            "min-replicas-to-write",
        ),
    ] {
        ask(&mut beside, &sets).await;
        let (detail, unknown) = failure(&engine, version).await;
        assert!(detail.contains(says) && !unknown, "{detail}");
        assert_eq!(only(&engine, ID).await, (1, "old".into()), "{says}: reads go on");
        ask(&mut beside, &unsets).await;
    }
    ask(&mut beside, &["replicaof", &host().to_string(), &nobody]).await;
    let (detail, unknown) = failure(&engine, 4).await;
    assert!(detail.contains("is a replica") && !unknown, "{detail}");
    assert_eq!(only(&engine, ID).await, (1, "old".into()));
    ask(&mut beside, &["replicaof", "no", "one"]).await;
    let outcome = engine.write(set(ID, 5, If::Present, "k", "new")).await;
    assert_eq!(
        outcome.unwrap(),
        done(0),
        "it goes on where nothing is wrong any more"
    );
}

#[tokio::test]
async fn a_server_that_stands_still_is_an_error_in_time_and_a_write_is_not_done_twice() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let engine = quick(server.session());
    begin(&engine, [ID]).await;
    engine.write(set(ID, 1, If::Absent, "k", "old")).await.unwrap();
    server.stop(true);
    let (detail, unknown) = failure(&engine, 2).await;
    assert!(
        detail.contains("did not answer within") || detail.contains("in time"),
        "{detail}"
    );
    assert!(unknown, "it was sent: {detail}");
    server.stop(false);
    let outcome = engine.write(set(ID, 3, If::Present, "l", "new")).await;
    assert_eq!(outcome.unwrap(), done(1));
    // The server read the late write and all its attempts before, or never: it is not there over a later one.
    assert_eq!(all(&engine, ID).await.head.version.0, 3);
}

#[tokio::test]
async fn a_write_that_too_few_replicas_have_is_not_acknowledged() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let engine = Redis::open(&server.session()).unwrap();
    begin(&engine, [ID]).await;
    let careful = Session {
        wait_replicas: 1,
        wait_timeout: foreshift_wire::Duration::from_millis(50),
        ..server.session()
    };
    let careful = Redis::open(&careful).unwrap();
    let (detail, unknown) = failure(&careful, 1).await;
    assert!(detail.contains("only 0 of 1 replicas") && unknown, "{detail}");

    let replica = Server::start(&["--replicaof", &host().to_string(), &server.port.to_string()]).await;
    let mut beside = replica.connect().await;
    common::redis::until("the replica follows", async || {
        let info = ask(&mut beside, &["info", "replication"]).await;
        common::redis::text(&info).contains("master_link_status:up")
    })
    .await;
    let patient = Session {
        wait_replicas: 1,
        wait_timeout: foreshift_wire::Duration::from_secs(20),
        ..server.session()
    };
    let patient = Redis::open(&patient).unwrap();
    let outcome = patient.write(set(ID, 2, If::Present, "k", "safe")).await;
    assert_eq!(outcome.unwrap(), done(0));
}
