//! What was acknowledged is there when the file is opened again.

use foreshift_store::{Batch, Caller, Change, If, Select, Sessions, Value};
use std::time::Duration;

use foreshift_store::{Error, Refusal, Served};
use foreshift_wire::{NodeId, PartitionName, PoolName, Session, SessionId};

#[tokio::test]
async fn state_is_there_again_after_close_and_open() {
    let folder = tempfile::tempdir().unwrap();
    let config = Session {
        path: folder.path().join("made/sessions.redb"),
        key_file: folder.path().join("made/session.keys"),
        ..Session::default()
    };
    let sessions = Sessions::open(&config, &[]).await.unwrap();
    let (caller, cart) = (Caller::own(), PartitionName::new("cart").unwrap());
    let id = sessions.create(&caller).await.unwrap();
    let change = Change {
        key: "item/1".into(),
        condition: If::Absent,
        value: Some(Value::bytes("two")),
    };
    let batch = Batch {
        changes: vec![change],
        ..Batch::default()
    };
    let written = sessions.write(&caller, id, &cart, batch).await.unwrap();
    sessions.close().await;
    assert!(sessions.info(&caller, id).await.is_err(), "closed");

    let sessions = Sessions::open(&config, &[]).await.unwrap();
    let part = sessions.read(&caller, id, &cart, Select::All).await.unwrap();
    assert_eq!(part.info.version, written.version);
    assert_eq!(part.entries[0].value, Some(Value::bytes("two")));
    sessions.close().await;
}

#[tokio::test]
async fn who_serves_a_session_is_known_to_the_process_that_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let config = Session {
        path: folder.path().join("sessions.redb"),
        key_file: folder.path().join("session.keys"),
        ..Session::default()
    };
    let (pool, node) = (PoolName::new("app").unwrap(), NodeId::new("a").unwrap());
    let (settled, not) = (SessionId(1), SessionId(2));
    let sessions = Sessions::open(&config, &[]).await.unwrap();
    let Served::Since(epoch) = sessions.serving(&pool, settled, &node) else {
        panic!("nobody revoked it")
    };
    assert_eq!(sessions.settle(Duration::from_secs(30)).await, 1);
    assert!(matches!(sessions.serving(&pool, not, &node), Served::Since(_)));
    sessions.close().await;

    let sessions = Sessions::open(&config, &[]).await.unwrap();
    let caller = Caller {
        node: Some(node.clone()),
        epoch: Some(epoch),
        ..Caller::own()
    };
    let cart = PartitionName::new("cart").unwrap();
    let batch = || Batch {
        changes: vec![Change {
            key: "item/1".into(),
            condition: If::Any,
            value: Some(Value::bytes("two")),
        }],
        ..Batch::default()
    };
    sessions.write(&caller, settled, &cart, batch()).await.unwrap();
    let unknown = sessions.write(&caller, not, &cart, batch()).await;
    assert!(
        matches!(unknown, Err(Error::Refused(Refusal::NoSession))),
        "{unknown:?}"
    );
    sessions.close().await;
}
