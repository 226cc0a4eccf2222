//! Large values follow their write in one transaction: they are stored as a whole with it, or nothing is.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use common::{
    proxy::Proxy,
    redis::{Server, ask, is_installed, text},
    sessions::{NOW_MS, begin, cart, done, node, only, set},
};
use foreshift_store::{
    Error, Refusal,
    engine::{Engine, If, Outcome, Put, Redis, Select},
};
use foreshift_wire::{Session, SessionId, Version};
use redis::{Value, aio::MultiplexedConnection};

const ID: SessionId = SessionId(7);
const SIZE: usize = 16_384;

fn large(n: u64) -> String {
    format!("{n:0SIZE$}")
}

/// All fields of the session, in an order of their own.
async fn stored(server: &mut MultiplexedConnection) -> Vec<String> {
    let Value::Array(fields) = ask(server, &["hgetall", &format!("{{fs:{ID}}}")]).await else {
        panic!("no hash");
    };
    let mut fields: Vec<_> = fields
        .chunks(2)
        .map(|field| format!("{} {}", text(&field[0]), text(&field[1])))
        .collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn a_refused_write_leaves_nothing() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let mut beside = server.connect().await;
    let engine = Redis::open(&server.session()).unwrap();
    let outcome = engine.write(set(ID, 1, If::Any, "k", &large(1))).await.unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal::NoSession));
    assert!(stored(&mut beside).await.is_empty(), "no session began");

    begin(&engine, [ID]).await;
    assert_eq!(
        engine
            .write(set(ID, 2, If::Absent, "k", &large(2)))
            .await
            .unwrap(),
        done(1)
    );
    let before = stored(&mut beside).await;
    for (key, other) in [("k", "l"), ("l", "k"), ("l", "m")] {
        let mut fenced = set(ID, 3, If::Any, key, &large(3));
        fenced.fence.node = Some(node("b"));
        let mut conflict = set(ID, 3, If::Is(Version(2)), key, &large(3));
        conflict.puts.push(Put {
            key: other.into(),
            condition: If::Is(Version(1)),
            value: Some(large(4).into()),
        });
        let mut too_large = set(ID, 3, If::Any, key, &large(3).repeat(2));
        too_large.max_bytes = 20_000;
        for write in [fenced, conflict, too_large] {
            let outcome = engine.write(write).await.unwrap();
            assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            assert!(stored(&mut beside).await == before, "{key}: nothing changed");
        }
        let behind = engine.write(set(ID, 2, If::Any, key, &large(3))).await.unwrap();
        assert_eq!(behind, Outcome::Behind(Version(2)));
        assert!(stored(&mut beside).await == before, "{key}: nothing changed");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_or_whose_script_is_forgotten_is_done_once() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let mut beside = server.connect().await;
    let proxy = Proxy::before(server.port).await;
    let session = Session {
        urls: vec![format!("redis://127.0.0.1:{}", proxy.port)],
        timeout: foreshift_wire::Duration::from_secs(20),
        ..Session::default()
    };
    let engine = Redis::open(&session).unwrap();
    begin(&engine, [ID]).await;
    let mut fields = 0;
    for (version, condition, added) in [
        (1, If::Absent, 1),
        (2, If::Is(Version(1)), 0),
        (3, If::Present, 0),
    ] {
        ask(&mut beside, &["script", "flush"]).await;
        let outcome = engine
            .write(set(
                ID,
                2 * version,
                condition_of(condition),
                "k",
                &large(version),
            ))
            .await;
        assert_eq!(outcome.unwrap(), done(added), "it is loaded again");
        proxy.trouble.lost_answers.store(1, Ordering::SeqCst);
        let again = set(
            ID,
            2 * version + 1,
            If::Is(Version(2 * version)),
            "k",
            &large(version + 10),
        );
        assert_eq!(engine.write(again).await.unwrap(), done(0));
        assert_eq!(only(&engine, ID).await, (2 * version + 1, large(version + 10)));
        fields = fields.max(stored(&mut beside).await.len());
    }
    assert_eq!(proxy.trouble.lost.load(Ordering::SeqCst), 3);
    // Five of the session, four of the partition and its key, and six writes.
    assert_eq!(fields, 15);
}

/// Versions are twice as high here.
fn condition_of(condition: If) -> If {
    match condition {
        If::Is(Version(n)) => If::Is(Version(2 * n + 1)),
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_each_value_as_a_whole_with_its_version() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let engine = Arc::new(Redis::open(&server.session()).unwrap());
    begin(&*engine, [ID]).await;
    engine.write(set(ID, 1, If::Any, "k", "1")).await.unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (engine, ends) = (engine.clone(), ends.clone());
        async move {
            for version in 2..500 {
                let value = if version % 3 == 0 {
                    version.to_string()
                } else {
                    large(version)
                };
                let mut write = set(ID, version, If::Any, "k", &value);
                if version % 7 == 0 {
                    write.puts[0].value = None;
                }
                let outcome = engine.write(write).await.unwrap();
                assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
            }
            ends.store(true, Ordering::SeqCst);
        }
    });
    let selects = [
        Select::Keys(vec!["k".into()]),
        Select::All,
        Select::Since(Version(1)),
    ];
    for select in selects.iter().cycle() {
        let rows = engine
            .read(ID, cart(), select.clone(), NOW_MS)
            .await
            .unwrap()
            .expect("a cart");
        for row in rows.rows {
            assert_eq!(row.version, rows.head.version, "the cart's only key");
            if let Some(value) = row.value {
                let value: u64 = std::str::from_utf8(&value).unwrap().parse().unwrap();
                assert_eq!(value, row.version.0);
            }
        }
        if ends.load(Ordering::SeqCst) {
            break;
        }
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_user_without_transactions_is_told_before_anything_is_done() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let mut beside = server.connect().await;
    begin(&Redis::open(&server.session()).unwrap(), [ID]).await;
    let rights = [
        "+@hash",
        "+@keyspace",
        "+@scripting",
        "+@connection",
        "+wait",
        "+cluster",
    ];
    let user = ["acl", "setuser", "plain", "on", ">word", "~{fs:*"];
    ask(&mut beside, &[&user[..], &rights[..]].concat()).await;
    let session = Session {
        urls: vec![server.url().replace("redis://", "redis://plain:word@")],
        ..Session::default()
    };
    let engine = Redis::open(&session).unwrap();
    let before = stored(&mut beside).await;
    let outcome = engine.write(set(ID, 1, If::Any, "k", &large(1))).await;
    assert!(
        matches!(&outcome, Err(Error::Unavailable { detail, unknown: false }) if detail.contains("+@transaction")),
        "{outcome:?}"
    );
    assert!(stored(&mut beside).await == before, "nothing was done");
    ask(&mut beside, &["acl", "setuser", "plain", "+@transaction"]).await;
    assert_eq!(
        engine.write(set(ID, 2, If::Any, "k", &large(2))).await.unwrap(),
        done(1)
    );
    assert_eq!(only(&engine, ID).await, (2, large(2)));
}
