//! Sessions end when idle or old; reading and writing them keeps them, moving them does not.

mod common;

use common::service::{START_MS, at_a_clock, get, name, node, pool, refusal, set};
use foreshift_store::{Caller, Clock, Ending, Refusal, Sessions, Swept};
use foreshift_wire::{Duration, Session, SessionId, SessionPartition};

const ID: SessionId = SessionId(7);
const SECOND: u64 = 1_000;

fn sessions(partition: Vec<SessionPartition>) -> (Sessions, Clock) {
    let (sessions, clock) = at_a_clock(Session {
        idle_timeout: Duration::from_secs(160),
        absolute_timeout: Duration::from_secs(1_000),
        partition,
        ..Session::default()
    });
    (sessions, clock)
}

/// Sessions that were made over the API, which nobody serves.
async fn made(sessions: &Sessions) -> SessionId {
    let id = sessions.create(&Caller::own()).await.unwrap();
    set(sessions, &Caller::own(), id, "cart", "x", Some("1"))
        .await
        .unwrap();
    id
}

/// Uses are noted beside whoever uses.
async fn until_noted(sessions: &Sessions, id: SessionId, at_ms: u64) {
    while sessions.info(&Caller::own(), id).await.unwrap().used_ms < at_ms {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_read_stays_and_who_is_not_ends() {
    let (sessions, clock) = sessions(Vec::new());
    let (own, read, left) = (Caller::own(), made(&sessions).await, made(&sessions).await);
    for n in 1..=5 {
        let now = START_MS + n * 100 * SECOND;
        clock.set(now);
        if n == 2 {
            assert_eq!(
                refusal(get(&sessions, &own, left, "cart").await),
                Refusal::NoSession
            );
        }
        get(&sessions, &own, read, "cart").await.unwrap();
        until_noted(&sessions, read, now).await;
    }
}

#[tokio::test]
async fn who_is_written_stays_and_ends_when_old() {
    let (sessions, clock) = sessions(Vec::new());
    let (own, id) = (Caller::own(), made(&sessions).await);
    let mut endings = sessions.endings();
    for n in 1..10 {
        clock.set(START_MS + n * 100 * SECOND);
        set(&sessions, &own, id, "cart", "x", Some("2")).await.unwrap();
    }
    clock.set(START_MS + 1_000 * SECOND);
    assert_eq!(
        refusal(set(&sessions, &own, id, "cart", "x", Some("3")).await),
        Refusal::NoSession
    );
    let swept = sessions.sweep(START_MS + 1_000 * SECOND).await.unwrap();
    assert_eq!(swept.ended, 1);
    let told = endings.recv().await.unwrap();
    assert_eq!((told.session, told.why), (id, Ending::TimedOut));
}

#[tokio::test]
async fn moving_and_replaying_a_session_renews_nothing() {
    let (sessions, clock) = sessions(Vec::new());
    sessions.serving(&pool(), ID, &node("a"));
    set(&sessions, &Caller::own(), ID, "cart", "x", Some("1"))
        .await
        .unwrap();
    let before = sessions.info(&Caller::own(), ID).await.unwrap();
    clock.set(START_MS + 100 * SECOND);
    let epoch = sessions.hand(&pool(), ID, &node("b")).await.unwrap();
    let all = ["*".parse().unwrap()];
    let told = sessions.missing(&pool(), ID, &node("b"), &all).await.unwrap();
    assert_eq!(told.len(), 1);
    let after = sessions.info(&Caller::own(), ID).await.unwrap();
    assert_eq!((after.used_ms, after.ends_ms), (before.used_ms, before.ends_ms));
    assert_eq!((after.owner, after.epoch), (Some(node("b")), epoch));
}

#[tokio::test]
async fn what_the_ingress_serves_begins_anew_and_empty_after_it_ended() {
    let (sessions, clock) = sessions(Vec::new());
    sessions.serving(&pool(), ID, &node("a"));
    set(&sessions, &Caller::own(), ID, "cart", "x", Some("1"))
        .await
        .unwrap();
    clock.set(START_MS + 400 * SECOND);
    assert_eq!(
        refusal(get(&sessions, &Caller::own(), ID, "cart").await),
        Refusal::NotFound("partition")
    );
    let info = sessions.info(&Caller::own(), ID).await.unwrap();
    assert_eq!(info.created_ms, START_MS + 400 * SECOND);
}

#[tokio::test]
async fn a_partition_ends_after_its_lifetime_and_a_sweep_gives_its_room_back() {
    let otp = SessionPartition {
        name: "otp".parse().unwrap(),
        pool: None,
        max_bytes: None,
        lifetime: Some(Duration::from_secs(30)),
        required_by: Vec::new(),
        secret: false,
    };
    let (sessions, clock) = sessions(vec![otp]);
    let (own, id) = (Caller::own(), made(&sessions).await);
    let first = set(&sessions, &own, id, "otp", "code", Some("1")).await.unwrap();
    clock.set(START_MS + 29 * SECOND);
    let second = set(&sessions, &own, id, "otp", "code", Some("2")).await.unwrap();
    assert!(second.version > first.version);
    clock.set(START_MS + 58 * SECOND);
    assert_eq!(
        get(&sessions, &own, id, "otp").await.unwrap(),
        [("code".into(), "2".into())]
    );
    clock.set(START_MS + 59 * SECOND);
    assert_eq!(
        refusal(get(&sessions, &own, id, "otp").await),
        Refusal::NotFound("partition")
    );
    let swept = sessions.sweep(START_MS + 59 * SECOND).await.unwrap();
    let expected = Swept {
        sessions: 1,
        ended: 0,
        partitions: 1,
    };
    assert_eq!(swept, expected);
    let again = sessions.sweep(START_MS + 59 * SECOND).await.unwrap();
    assert_eq!(
        again,
        Swept {
            partitions: 0,
            ..expected
        }
    );
    let there = sessions.partitions(&own, id).await.unwrap();
    assert_eq!(there.iter().map(|p| &p.name).collect::<Vec<_>>(), [&name("cart")]);
    set(&sessions, &own, id, "otp", "code", Some("3")).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_goes_back_ends_nothing_and_versions_and_reigns_rise() {
    let (sessions, clock) = sessions(Vec::new());
    sessions.serving(&pool(), ID, &node("a"));
    let own = Caller::own();
    let first = set(&sessions, &own, ID, "cart", "x", Some("1")).await.unwrap();
    clock.set(START_MS - 3_600 * SECOND);
    let second = set(&sessions, &own, ID, "cart", "x", Some("2")).await.unwrap();
    assert!(second.version > first.version);
    let before = sessions.info(&own, ID).await.unwrap();
    let epoch = sessions.hand(&pool(), ID, &node("b")).await.unwrap();
    assert!(epoch > before.epoch);
    assert_eq!(
        before.used_ms, START_MS,
        "it was used then, by the clock as it was"
    );
    assert_eq!(sessions.sweep(START_MS - 3_600 * SECOND).await.unwrap().ended, 0);
}
