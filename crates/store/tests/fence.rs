//! After a session was handed to another node, what the node before writes is refused: decided by the engine, in one step with the write.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use common::service::{engines, get, node, pool, refusal, set};
use foreshift_store::{Caller, Error, Refusal, Served, Sessions};
use foreshift_wire::{Epoch, SessionId};

const ID: SessionId = SessionId(7);

fn caller(id: &str, epoch: Option<Epoch>) -> Caller {
    Caller {
        node: Some(node(id)),
        epoch,
        ..Caller::own()
    }
}

#[tokio::test]
async fn the_node_before_is_told_who_serves_the_session_now() {
    let folder = tempfile::tempdir().unwrap();
    for engine in engines(folder.path()) {
        let sessions = Sessions::over(engine, Default::default());
        let Served::Since(first) = sessions.serving(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        let a = caller("a", Some(first));
        set(&sessions, &a, ID, "cart", "x", Some("1")).await.unwrap();
        let second = sessions.hand(&pool(), ID, &node("b")).await.unwrap();
        assert!(second > first);
        let fenced = Refusal::Fenced {
            owner: Some(node("b")),
            epoch: second,
        };
        for late in [
            a.clone(),
            caller("a", None),
            Caller {
                node: None,
                ..a.clone()
            },
        ] {
            assert_eq!(
                refusal(set(&sessions, &late, ID, "cart", "x", Some("2")).await),
                fenced
            );
        }
        let b = caller("b", Some(second));
        assert_eq!(
            get(&sessions, &b, ID, "cart").await.unwrap(),
            [("x".into(), "1".into())]
        );
        set(&sessions, &b, ID, "cart", "x", Some("3")).await.unwrap();
        assert_eq!(sessions.serving(&pool(), ID, &node("b")), Served::Since(second));

        // Back again: in a new reign, so that what it began before stays refused.
        let third = sessions.hand(&pool(), ID, &node("a")).await.unwrap();
        assert!(third > second);
        refusal(set(&sessions, &a, ID, "cart", "x", Some("4")).await);
        set(&sessions, &caller("a", Some(third)), ID, "cart", "x", Some("5"))
            .await
            .unwrap();
        sessions.close().await;
    }
}

#[tokio::test]
async fn a_session_without_state_is_fenced_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for engine in engines(folder.path()) {
        let sessions = Sessions::over(engine, Default::default());
        let Served::Since(first) = sessions.serving(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        let second = sessions.hand(&pool(), ID, &node("b")).await.unwrap();
        let late = set(&sessions, &caller("a", Some(first)), ID, "cart", "x", Some("1")).await;
        assert!(matches!(refusal(late), Refusal::Fenced { epoch, .. } if epoch == second));
        sessions.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_reign_is_taken_once_the_next_one_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    for engine in engines(folder.path()) {
        let sessions = Sessions::over(engine, Default::default());
        let Served::Since(first) = sessions.serving(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        // The newest reign that was answered, before which no write that begins afterwards may be taken.
        let answered = Arc::new(AtomicU64::new(first.0));
        let writers = (0..4).map(|n| {
            let (sessions, answered) = (sessions.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let (mut taken, mut epoch) = (0, first);
                while taken < 25 {
                    let seen = answered.load(Ordering::SeqCst);
                    let caller = Caller {
                        epoch: Some(epoch),
                        ..Caller::own()
                    };
                    match set(&sessions, &caller, ID, "cart", &format!("k{n}"), Some("v")).await {
                        Ok(_) => {
                            assert!(epoch.0 >= seen, "reign {epoch} was over since {seen}");
                            taken += 1;
                        }
                        Err(Error::Refused(Refusal::Fenced { epoch: now, .. })) => epoch = now,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        for n in 0..20 {
            let to = node(["a", "b"][n % 2]);
            let epoch = sessions.hand(&pool(), ID, &to).await.unwrap();
            answered.fetch_max(epoch.0, Ordering::SeqCst);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        sessions.close().await;
    }
}
