//! An operation whose answer was lost is done once, and answers as if nothing had been lost.

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{
    proxy::Proxy,
    redis::{Server, is_installed},
    sessions::{NOW_MS, all, begin, done, only, record, set},
};
use foreshift_store::{
    Error,
    engine::{Engine, If, Outcome, Redis},
};
use foreshift_wire::{Session, SessionId, Version};

const ID: SessionId = SessionId(7);

async fn engine_behind(proxy: &Proxy) -> Redis {
    let session = Session {
        urls: vec![format!("redis://127.0.0.1:{}", proxy.port)],
        timeout: foreshift_wire::Duration::from_secs(20),
        ..Session::default()
    };
    Redis::open(&session).expect("a URL")
}

/// The engine's next script is carried out, and so often its answer lost.
fn lose(proxy: &Proxy, times: usize) {
    proxy.trouble.lost_answers.store(times, Ordering::SeqCst);
}

/// The server knows the scripts, so that what is lost is no answer that it does not.
async fn warm_up(engine: &Redis) {
    let other = SessionId(8);
    begin(engine, [other]).await;
    engine.write(set(other, 1, If::Any, "k", "")).await.unwrap();
    let cleared = engine.clear(other, Some(record("a", 1)), None).await;
    assert_eq!(cleared.unwrap(), Ok(()));
}

/// The answer of the next script is lost; then all stands still until `meanwhile` is over.
async fn lose_and(proxy: &Proxy, meanwhile: impl Future<Output = ()>) {
    let mut stalls = proxy.trouble.stalls.subscribe();
    stalls.wait_for(|stalls| *stalls).await.unwrap();
    meanwhile.await;
    proxy.trouble.stalls.send_replace(false);
}

fn lost(proxy: &Proxy) -> usize {
    proxy.trouble.lost.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let proxy = Proxy::before(server.port).await;
    let engine = engine_behind(&proxy).await;
    begin(&engine, [ID]).await;
    engine.write(set(ID, 10, If::Absent, "k", "1")).await.unwrap();

    // Each condition does not hold any more once the write was done.
    for (version, condition, key, added) in [
        (11, If::Is(Version(10)), "k", 0),
        (12, If::Is(Version(11)), "l", 1),
        (13, If::Present, "m", 1),
    ] {
        lose(&proxy, 3);
        let before = lost(&proxy);
        let outcome = engine.write(set(ID, version, condition, key, "2")).await.unwrap();
        assert_eq!(outcome, done(added), "{key}");
        assert_eq!(lost(&proxy), before + 3);
        assert_eq!(all(&engine, ID).await.head.version, Version(version));
    }
    let mut removes = set(ID, 14, If::Any, "k", "");
    removes.puts[0].value = None;
    lose(&proxy, 1);
    let outcome = engine.write(removes).await.unwrap();
    assert_eq!(outcome, Outcome::Done { removed: 1, added: 0 });
}

#[tokio::test]
async fn a_write_that_others_followed_is_known_all_the_same() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let direct = Redis::open(&server.session()).unwrap();
    warm_up(&direct).await;
    begin(&direct, [ID]).await;
    for (others, is_known) in [(7, true), (8, false)] {
        let proxy = Proxy::before(server.port).await;
        let engine = engine_behind(&proxy).await;
        let first = 100 * others;
        lose(&proxy, 1);
        proxy.trouble.then_stalls.store(true, Ordering::SeqCst);
        let write = engine.write(set(ID, first, If::Any, "k", "lost"));
        let follow = lose_and(&proxy, async {
            for n in 1..=others {
                let outcome = direct.write(set(ID, first + n, If::Any, "k", "other")).await;
                outcome.unwrap();
            }
        });
        let (outcome, ()) = tokio::join!(write, follow);
        match outcome {
            Ok(outcome) => assert!(is_known && matches!(outcome, Outcome::Done { .. }), "{outcome:?}"),
            Err(Error::Unavailable { unknown, .. }) => assert!(!is_known && unknown),
            Err(other) => panic!("{other}"),
        }
        let others_last = (first + others, "other".into());
        assert_eq!(only(&direct, ID).await, others_last, "nothing was done twice");
    }
}

#[tokio::test]
async fn a_record_is_put_once_and_a_session_that_began_anew_is_not_cleared() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let proxy = Proxy::before(server.port).await;
    let engine = engine_behind(&proxy).await;
    warm_up(&engine).await;
    lose(&proxy, 2);
    begin(&engine, [ID]).await;
    lose(&proxy, 2);
    let fenced = record("b", 2);
    let stored = engine.put_record(ID, Some(record("a", 1)), fenced.clone()).await;
    assert_eq!(stored.unwrap(), Ok(()));

    lose(&proxy, 1);
    proxy.trouble.then_stalls.store(true, Ordering::SeqCst);
    let direct = Redis::open(&server.session()).unwrap();
    let mut anew = record("a", 3);
    anew.created_ms = NOW_MS + 1;
    let clear = engine.clear(ID, Some(fenced), None);
    let follow = async {
        assert_eq!(direct.put_record(ID, None, anew.clone()).await.unwrap(), Ok(()));
        direct.write(set(ID, 20, If::Absent, "k", "kept")).await.unwrap();
    };
    let (cleared, ()) = tokio::join!(clear, lose_and(&proxy, follow));
    assert_eq!(cleared.unwrap(), Ok(()));
    assert_eq!(direct.record(ID).await.unwrap(), Some(anew));
    assert_eq!(only(&direct, ID).await, (20, "kept".into()));
}

#[tokio::test]
async fn what_was_never_answered_is_said_to_be_unknown() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let proxy = Proxy::before(server.port).await;
    let session = Session {
        urls: vec![format!("redis://127.0.0.1:{}", proxy.port)],
        timeout: foreshift_wire::Duration::from_millis(600),
        ..Session::default()
    };
    let engine = Redis::open(&session).unwrap();
    warm_up(&engine).await;
    begin(&engine, [ID]).await;
    lose(&proxy, usize::MAX);
    let began = std::time::Instant::now();
    let outcome = engine.write(set(ID, 10, If::Any, "k", "1")).await;
    assert!(began.elapsed() < Duration::from_secs(5), "it does not hang");
    assert!(
        matches!(outcome, Err(Error::Unavailable { unknown: true, .. })),
        "{outcome:?}"
    );
    let read = engine.record(ID).await;
    assert!(
        matches!(read, Err(Error::Unavailable { unknown: false, .. })),
        "{read:?}"
    );
    lose(&proxy, 0);
    assert_eq!(only(&engine, ID).await, (10, "1".into()), "it was done, in truth");
}
