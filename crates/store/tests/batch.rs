//! A batch is done as one, in a version of its own, or not at all.

use std::sync::Arc;

use foreshift_store::{
    Batch, Caller, Change, Error, If, Refusal, Select, Served, Sessions, Value, engine::Memory,
};
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};

fn set(key: &'static str, value: &'static str, condition: If) -> Change {
    Change {
        key: key.into(),
        condition,
        value: Some(Value::bytes(value)),
    }
}

#[tokio::test]
async fn a_batch_whose_condition_fails_changes_nothing() {
    let sessions = Sessions::over(Arc::new(Memory::default()), Default::default());
    let (pool, node) = (PoolName::new("app").unwrap(), NodeId::new("a").unwrap());
    let (id, cart) = (SessionId(7), PartitionName::new("cart").unwrap());
    let caller = Caller::own();
    let refused = sessions.read(&caller, id, &cart, Select::All).await;
    assert!(
        matches!(refused, Err(Error::Refused(Refusal::NoSession))),
        "nobody issued it: {refused:?}"
    );

    let Served::Since(epoch) = sessions.serving(&pool, id, &node) else {
        panic!("revoked")
    };
    let batch = |changes| Batch {
        changes,
        ..Batch::default()
    };
    let first = batch(vec![set("a", "1", If::Absent), set("b", "2", If::Any)]);
    let written = sessions.write(&caller, id, &cart, first.clone()).await.unwrap();
    assert_eq!((written.added, written.removed), (2, 0));
    let again = sessions.write(&caller, id, &cart, first).await;
    assert!(
        matches!(again, Err(Error::Refused(Refusal::Conflict { .. }))),
        "{again:?}"
    );
    let part = sessions.read(&caller, id, &cart, Select::All).await.unwrap();
    assert_eq!(part.info.version, written.version);
    assert_eq!(part.entries.len(), 2);

    let late = Caller {
        epoch: Some(Epoch(epoch.0 - 1)),
        ..caller.clone()
    };
    let fenced = sessions
        .write(&late, id, &cart, batch(vec![set("a", "9", If::Any)]))
        .await;
    assert!(
        matches!(fenced, Err(Error::Refused(Refusal::Fenced { .. }))),
        "{fenced:?}"
    );
    let delta = Select::Since(Version(written.version.0));
    assert!(
        sessions
            .read(&caller, id, &cart, delta)
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}
