//! Master keys of sessions are replaced while everything goes on: nothing becomes unreadable, and an old key leaves only when no session needs it.

use std::{fs, path::Path, sync::Arc};

use foreshift_store::{
    Batch, Caller, Change, Engine, Error, If, KeyFile, Refusal, Select, Sessions, Value, engine::Memory,
};
use foreshift_wire::{PartitionName, Session, SessionId};
use jiff::Timestamp;

fn config(folder: &Path) -> Session {
    Session {
        key_file: folder.join("session.keys"),
        ..Session::default()
    }
}

fn cart() -> PartitionName {
    PartitionName::new("cart").unwrap()
}

async fn set(sessions: &Sessions, id: SessionId, value: &str) {
    let change = Change {
        key: "item".into(),
        condition: If::Any,
        value: Some(Value::bytes(value.to_owned())),
    };
    let changes = vec![change];
    let batch = Batch {
        changes,
        ..Batch::default()
    };
    sessions.write(&Caller::own(), id, &cart(), batch).await.unwrap();
}

async fn get(sessions: &Sessions, id: SessionId) -> Result<String, Error> {
    let part = sessions.read(&Caller::own(), id, &cart(), Select::All).await?;
    let value = part.entries[0].value.as_ref().expect("it was not removed");
    Ok(String::from_utf8(value.bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn after_a_rotation_everything_opens_and_the_old_key_can_go() {
    let folder = tempfile::tempdir().unwrap();
    let (config, own) = (config(folder.path()), Caller::own());
    let engine: Arc<dyn Engine> = Arc::new(Memory::default());
    let sessions = Sessions::open_over(engine.clone(), config.clone()).await.unwrap();
    let mut ids = Vec::new();
    // More than a page.
    for n in 0..600 {
        let id = sessions.create(&own).await.unwrap();
        set(&sessions, id, &format!("before {n}")).await;
        ids.push(id);
    }
    let file = KeyFile::at(&config.key_file);
    let old = file.list().unwrap().unwrap()[0].id;
    let needed = sessions.keys(&own).await.unwrap();
    assert_eq!((needed.len(), needed[0].sessions), (1, 600));
    let refused = sessions.retire_key(&own, old).await.unwrap_err().to_string();
    assert!(refused.contains("rotate first"), "{refused}");

    let new = file.rotate(Timestamp::now()).unwrap().id;
    assert_eq!(sessions.reread_keys(&own).await.unwrap(), 600);
    assert_eq!(sessions.reread_keys(&own).await.unwrap(), 0, "once is enough");
    let needed: Vec<_> = sessions.keys(&own).await.unwrap();
    let needed: Vec<_> = needed.iter().map(|key| (key.key.id, key.sessions)).collect();
    assert_eq!(needed, [(old, 0), (new, 600)]);
    sessions.retire_key(&own, old).await.unwrap();
    assert_eq!(file.list().unwrap().unwrap().len(), 1);

    let again = Sessions::open_over(engine, config).await.unwrap();
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(get(&again, id).await.unwrap(), format!("before {n}"));
    }
}

#[tokio::test]
async fn writers_and_a_rotation_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (config, own) = (config(folder.path()), Caller::own());
    let sessions = Sessions::open_over(Arc::new(Memory::default()), config.clone())
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(sessions.create(&own).await.unwrap());
    }
    let file = KeyFile::at(&config.key_file);
    let writer = {
        let (sessions, ids) = (sessions.clone(), ids.clone());
        tokio::spawn(async move {
            for n in 0..20 {
                for id in &ids {
                    set(&sessions, *id, &format!("{n}")).await;
                    assert_eq!(get(&sessions, *id).await.unwrap(), format!("{n}"));
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    for _ in 0..5 {
        let old = file.list().unwrap().unwrap()[0].id;
        file.rotate(Timestamp::now()).unwrap();
        sessions.reread_keys(&own).await.unwrap();
        sessions.retire_key(&own, old).await.unwrap();
    }
    writer.await.unwrap();
    for id in ids {
        assert_eq!(get(&sessions, id).await.unwrap(), "19");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_too_early_is_used_until_nobody_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, own) = (config(folder.path()), Caller::own());
    let sessions = Sessions::open_over(Arc::new(Memory::default()), config.clone())
        .await
        .unwrap();
    let id = sessions.create(&own).await.unwrap();
    set(&sessions, id, "kept").await;
    // Somebody puts another file in its place.
    fs::remove_file(&config.key_file).unwrap();
    assert!(
        sessions
            .reread_keys(&own)
            .await
            .unwrap_err()
            .to_string()
            .contains("session.keys")
    );
    assert_eq!(get(&sessions, id).await.unwrap(), "kept");
    KeyFile::at(&config.key_file).make(Timestamp::now()).unwrap();
    assert_eq!(
        sessions.reread_keys(&own).await.unwrap(),
        1,
        "wrapped with the new one"
    );
    assert_eq!(get(&sessions, id).await.unwrap(), "kept");
}

#[tokio::test]
async fn a_store_whose_key_the_file_lacks_is_refused_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (config, own) = (config(folder.path()), Caller::own());
    let engine: Arc<dyn Engine> = Arc::new(Memory::default());
    let sessions = Sessions::open_over(engine.clone(), config.clone()).await.unwrap();
    let id = sessions.create(&own).await.unwrap();
    set(&sessions, id, "kept").await;
    let key = KeyFile::at(&config.key_file).list().unwrap().unwrap()[0]
        .id
        .to_string();
    let record = engine.record(id).await.unwrap();
    let right = fs::read(&config.key_file).unwrap();

    fs::remove_file(&config.key_file).unwrap();
    let missing = Sessions::open_over(engine.clone(), config.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        missing.contains(&key) && missing.contains("session.keys"),
        "{missing}"
    );
    assert!(
        !config.key_file.exists(),
        "no new key hides that the old one is missing"
    );

    KeyFile::at(&config.key_file).make(Timestamp::now()).unwrap();
    let wrong = Sessions::open_over(engine.clone(), config.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(wrong.contains(&key) && wrong.contains("session.keys"), "{wrong}");
    assert_eq!(engine.record(id).await.unwrap(), record);

    // The mode stays as it was: the file is written in place.
    fs::write(&config.key_file, right).unwrap();
    let sessions = Sessions::open_over(engine, config).await.unwrap();
    assert_eq!(get(&sessions, id).await.unwrap(), "kept");
}

#[tokio::test]
async fn only_an_administrator_may_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let sessions = Sessions::open_over(Arc::new(Memory::default()), config.clone())
        .await
        .unwrap();
    let mut caller = Caller::own();
    Arc::make_mut(&mut caller.access).level = foreshift_wire::SessionAccess::Write;
    let key = KeyFile::at(&config.key_file).list().unwrap().unwrap()[0].id;
    let is_forbidden = |error: Error| matches!(error, Error::Refused(Refusal::Forbidden { .. }));
    assert!(is_forbidden(sessions.keys(&caller).await.unwrap_err()));
    assert!(is_forbidden(sessions.reread_keys(&caller).await.unwrap_err()));
    assert!(is_forbidden(sessions.retire_key(&caller, key).await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_to_retire_is_taken_out_by_who_serves_the_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (config, own) = (config(folder.path()), Caller::own());
    let sessions = Sessions::open_over(Arc::new(Memory::default()), config.clone())
        .await
        .unwrap();
    let id = sessions.create(&own).await.unwrap();
    set(&sessions, id, "kept").await;
    let file = KeyFile::at(&config.key_file);
    let old = file.list().unwrap().unwrap()[0].id;
    let new = file.rotate(Timestamp::now()).unwrap();
    file.retire(old).unwrap();
    // Nobody asks: it looks at the file by itself. The clock is paused, so that this is over as soon as it is done.
    let gone = async {
        while file.list().unwrap().unwrap() != [new] {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone)
        .await
        .expect("it is taken out");
    assert_eq!(sessions.keys(&own).await.unwrap()[0].sessions, 1);
    assert_eq!(get(&sessions, id).await.unwrap(), "kept");
}
