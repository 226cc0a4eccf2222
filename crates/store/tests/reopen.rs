//! What was acknowledged is there when the file is opened again.

use foreshift_store::{Batch, Caller, Change, If, Select, Sessions, Value};
use foreshift_wire::{PartitionName, Session};

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
