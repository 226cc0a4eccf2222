//! A revoked session stays revoked: through moves, restarts and whatever is asked of it, until its time is over.

mod common;

use std::sync::Arc;

use common::service::{START_MS, at_a_clock, get, node, pool, refusal, set};
use foreshift_store::{Caller, Ending, Refusal, Served, Sessions};
use foreshift_wire::{Duration, Session, SessionId};

const ID: SessionId = SessionId(7);

async fn is_revoked_for_all(sessions: &Sessions) {
    let own = Caller::own();
    assert_eq!(sessions.serving(&pool(), ID, &node("b")), Served::Revoked);
    assert_eq!(
        refusal(sessions.hand(&pool(), ID, &node("b")).await),
        Refusal::Revoked
    );
    assert_eq!(
        refusal(set(sessions, &own, ID, "cart", "x", Some("2")).await),
        Refusal::Revoked
    );
    assert_eq!(refusal(get(sessions, &own, ID, "cart").await), Refusal::Revoked);
    assert_eq!(refusal(sessions.info(&own, ID).await), Refusal::Revoked);
    assert_eq!(refusal(sessions.partitions(&own, ID).await), Refusal::Revoked);
    assert_eq!(refusal(sessions.end(&own, ID).await), Refusal::Revoked);
    sessions.revoke(&own, ID).await.unwrap();
}

#[tokio::test]
async fn nothing_revives_it_before_the_absolute_timeout() {
    let (sessions, clock) = at_a_clock(Session {
        absolute_timeout: Duration::from_secs(1_000),
        ..Session::default()
    });
    let mut endings = sessions.endings();
    assert_eq!(
        refusal(sessions.revoke(&Caller::own(), ID).await),
        Refusal::NoSession
    );
    sessions.serving(&pool(), ID, &node("a"));
    set(&sessions, &Caller::own(), ID, "cart", "x", Some("1"))
        .await
        .unwrap();
    clock.set(START_MS + 500_000);
    sessions.revoke(&Caller::own(), ID).await.unwrap();
    let told = endings.recv().await.unwrap();
    assert_eq!((told.session, told.why), (ID, Ending::Revoked));
    is_revoked_for_all(&sessions).await;

    clock.set(START_MS + 1_499_999);
    sessions.sweep(START_MS + 1_499_999).await.unwrap();
    is_revoked_for_all(&sessions).await;
    let (listed, _) = sessions.list(&Caller::own(), None).await.unwrap();
    assert_eq!(listed[0].revoked_ms, Some(START_MS + 500_000));

    clock.set(START_MS + 1_500_000);
    sessions.sweep(START_MS + 1_500_000).await.unwrap();
    assert!(matches!(
        sessions.serving(&pool(), ID, &node("b")),
        Served::Since(_)
    ));
    assert_eq!(
        refusal(get(&sessions, &Caller::own(), ID, "cart").await),
        Refusal::NotFound("partition"),
        "it begins anew, empty"
    );
}

#[tokio::test]
async fn a_session_that_was_served_and_has_no_state_can_be_revoked() {
    let (sessions, _) = at_a_clock(Session::default());
    sessions.serving(&pool(), ID, &node("a"));
    sessions.revoke(&Caller::own(), ID).await.unwrap();
    is_revoked_for_all(&sessions).await;
}

#[tokio::test]
async fn it_is_known_from_the_first_moment_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = Session {
        path: folder.path().join("sessions.redb"),
        key_file: folder.path().join("session.keys"),
        ..Session::default()
    };
    let sessions = Sessions::open(&config, &[]).await.unwrap();
    sessions.serving(&pool(), ID, &node("a"));
    sessions.revoke(&Caller::own(), ID).await.unwrap();
    let other = SessionId(8);
    let served = sessions.serving(&pool(), other, &node("a"));
    set(&sessions, &Caller::own(), other, "cart", "x", Some("1"))
        .await
        .unwrap();
    sessions.close().await;

    let sessions = Sessions::open(&config, &[]).await.unwrap();
    is_revoked_for_all(&sessions).await;
    // Nor is the node of another one told a new epoch, which would fence what it began before.
    assert_eq!(sessions.serving(&pool(), other, &node("a")), served);
    sessions.close().await;
}

#[tokio::test]
async fn of_uses_at_the_same_time_none_brings_it_back() {
    let folder = tempfile::tempdir().unwrap();
    for engine in common::service::engines(folder.path()) {
        let sessions = Sessions::over(Arc::clone(&engine), Session::default());
        sessions.serving(&pool(), ID, &node("a"));
        let uses = (0..32).map(|n| {
            let sessions = sessions.clone();
            async move {
                match n % 4 {
                    0 => drop(sessions.hand(&pool(), ID, &node("b")).await),
                    1 => drop(sessions.serving(&pool(), ID, &node("c"))),
                    _ => drop(set(&sessions, &Caller::own(), ID, "cart", "x", Some("1")).await),
                }
            }
        });
        let uses: Vec<_> = uses.map(tokio::spawn).collect();
        sessions.revoke(&Caller::own(), ID).await.unwrap();
        for used in uses {
            used.await.unwrap();
        }
        is_revoked_for_all(&sessions).await;
        assert!(engine.heads(ID, 0).await.unwrap().is_empty());
        sessions.close().await;
    }
}
