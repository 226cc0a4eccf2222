//! What is declared of partitions holds for whoever reads and writes them.

mod common;

use std::sync::Arc;

use common::service::{at_a_clock, get, node, pool, refusal, set};
use foreshift_store::{Access, Caller, Refusal};
use foreshift_wire::{Session, SessionAccess, SessionId, SessionPartition, Undeclared};

const ID: SessionId = SessionId(7);

fn declared(name: &str, max_bytes: Option<u64>, secret: bool) -> SessionPartition {
    SessionPartition {
        name: name.parse().unwrap(),
        pool: None,
        max_bytes,
        lifetime: None,
        required_by: Vec::new(),
        secret,
    }
}

fn caller(patterns: &[&str]) -> Caller {
    let access = Access {
        level: SessionAccess::Write,
        partitions: patterns.iter().map(|p| p.parse().unwrap()).collect(),
        node: None,
    };
    Caller {
        access: Arc::new(access),
        ..Caller::own()
    }
}

#[tokio::test]
async fn undeclared_ones_and_too_large_ones_are_refused() {
    let (sessions, _) = at_a_clock(Session {
        undeclared: Undeclared::Refuse,
        partition: vec![declared("cart", Some(200), false)],
        ..Session::default()
    });
    sessions.serving(&pool(), ID, &node("a"));
    let own = Caller::own();
    let refused = refusal(set(&sessions, &own, ID, "other", "x", Some("1")).await);
    assert!(matches!(refused, Refusal::Undeclared(name) if name.as_str() == "other"));
    set(&sessions, &own, ID, "cart", "x", Some("1")).await.unwrap();
    let large = "a".repeat(200);
    let refused = refusal(set(&sessions, &own, ID, "cart", "x", Some(&large)).await);
    assert!(
        matches!(refused, Refusal::TooLarge { limit: 200, .. }),
        "{refused:?}"
    );
    assert_eq!(
        get(&sessions, &own, ID, "cart").await.unwrap(),
        [("x".into(), "1".into())]
    );
}

#[tokio::test]
async fn a_secret_is_read_and_seen_only_by_who_may_read_it_by_its_name() {
    let (sessions, _) = at_a_clock(Session {
        partition: vec![declared("auth/*", None, true)],
        ..Session::default()
    });
    sessions.serving(&pool(), ID, &node("a"));
    for partition in ["auth/token", "cart"] {
        set(&sessions, &Caller::own(), ID, partition, "x", Some("1"))
            .await
            .unwrap();
    }
    for (patterns, reads, sees) in [
        (&["*"][..], false, 1),
        (&["auth/*"], true, 1),
        (&["auth/token"], true, 1),
        (&["*", "auth/token"], true, 2),
        (&["cart"], false, 1),
        (&["game/*"], false, 0),
    ] {
        let caller = caller(patterns);
        let read = get(&sessions, &caller, ID, "auth/token").await;
        assert_eq!(read.is_ok(), reads, "{patterns:?}");
        if !reads {
            assert!(matches!(refusal(read), Refusal::Forbidden { .. }));
        }
        assert_eq!(
            sessions.partitions(&caller, ID).await.unwrap().len(),
            sees,
            "{patterns:?}"
        );
    }
}
