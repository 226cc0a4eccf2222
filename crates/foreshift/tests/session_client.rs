//! `foreshift_client::sessions` does to a server what it says, and tells apart why something was not done.

mod common;

use bytes::Bytes;
use common::{foreshift::free_address, store::Store};
use foreshift_client::sessions::{Change, Condition, Error, Sessions, Value};
use foreshift_store::Caller;
use foreshift_wire::SessionId;

/// Keys that a careless path would lose.
const KEYS: [&[u8]; 7] = [
    b"item/1",
    b"a b",
    b"100%",
    b"..",
    b"\0\xff",
    b"?x=1#y",
    "ü/".as_bytes(),
];

#[tokio::test]
async fn keys_and_values_of_any_bytes_come_back_as_they_were_set() {
    let store = Store::serve("").await;
    let client = store.client();
    let id = client.create().await.unwrap();
    let mut last = 0;
    for (at, key) in KEYS.into_iter().enumerate() {
        for value in [
            Value::text("dé"),
            Bytes::from_static(b"\xff\0\n").into(),
            Value::text(""),
        ] {
            assert_eq!(client.get(&id, "game/map", b"none").await.unwrap(), None);
            let version = client
                .set(&id, "game/map", key, &value, Condition::Any)
                .await
                .unwrap();
            assert!(version > last, "{version} after {last}");
            last = version;
            let (read, at_version) = client.get(&id, "game/map", key).await.unwrap().unwrap();
            assert_eq!((read, at_version), (value, version), "{key:?}");
        }
        let partitions = client.get_partition_list(&id).await.unwrap();
        let [map] = &partitions[..] else {
            panic!("{partitions:?}")
        };
        assert_eq!(
            (&*map.name, map.version, map.keys),
            ("game/map", last, at as u64 + 1)
        );
    }
    let all = client.get_partition_data(&id, "game/map").await.unwrap();
    assert!(
        KEYS.iter().all(|key| all.entries[*key].value == Value::text("")),
        "{all:?}"
    );
    assert_eq!(all.entries.len(), KEYS.len());
    for key in KEYS {
        assert!(
            client.delete(&id, "game/map", key, Condition::Any).await.unwrap(),
            "{key:?}"
        );
        assert!(
            !client.delete(&id, "game/map", key, Condition::Any).await.unwrap(),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn a_partition_is_set_whole_and_a_batch_is_done_whole_or_not_at_all() {
    let store = Store::serve("").await;
    let client = store.client();
    let id = client.create().await.unwrap();
    let (one, two) = (Value::text("1"), Bytes::from_static(b"\xff").into());
    let both = [(&b"one"[..], &one), (&b"two"[..], &two)];
    let first = client
        .set_partition_data(&id, "cart", both, Condition::Absent)
        .await
        .unwrap();
    assert_eq!((first.added, first.removed), (2, 0));
    let again = client
        .set_partition_data(&id, "cart", [both[0]], Condition::Absent)
        .await;
    assert!(matches!(again, Err(Error::Conflict { version, key: None, .. }) if version == first.version));
    let only = client
        .set_partition_data(&id, "cart", [both[1]], Condition::Is(first.version))
        .await
        .unwrap();
    assert_eq!((only.added, only.removed), (0, 1));

    let changes = |condition| {
        [
            Change::set("three", one.clone()),
            Change::remove("two").only(condition),
        ]
    };
    let refused = client
        .batch(&id, "cart", changes(Condition::Absent), Condition::Any)
        .await;
    let Err(Error::Conflict {
        version,
        key: Some(key),
        ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!((version, &*key), (only.version, "two"));
    let left = client.get_partition_data(&id, "cart").await.unwrap();
    assert_eq!((left.version, left.entries.len()), (only.version, 1));
    assert_eq!(left.entries[&b"two"[..]].value, two);

    let done = client
        .batch(
            &id,
            "cart",
            changes(Condition::Is(only.version)),
            Condition::Present,
        )
        .await
        .unwrap();
    assert_eq!((done.added, done.removed), (1, 1));
    let left = client.get_partition_data(&id, "cart").await.unwrap();
    assert_eq!(left.entries.keys().collect::<Vec<_>>(), [&b"three"[..]]);
    assert_eq!(left.entries[&b"three"[..]].version, done.version);
}

#[tokio::test]
async fn a_version_that_was_overtaken_is_a_conflict_that_names_the_newer_one() {
    let store = Store::serve("").await;
    let client = store.client();
    let id = client.create().await.unwrap();
    let set = async |condition| client.set(&id, "cart", b"k", &"v".into(), condition).await;
    let absent = set(Condition::Present).await;
    assert!(
        matches!(absent, Err(Error::Conflict { version: 0, .. })),
        "{absent:?}"
    );
    let first = set(Condition::Absent).await.unwrap();
    let second = set(Condition::Is(first)).await.unwrap();
    let overtaken = set(Condition::Is(first)).await;
    assert!(matches!(overtaken, Err(Error::Conflict { version, .. }) if version == second));
    let overtaken = client.delete(&id, "cart", b"k", Condition::Is(first)).await;
    assert!(matches!(overtaken, Err(Error::Conflict { version, .. }) if version == second));
    assert!(
        client
            .delete(&id, "cart", b"k", Condition::Is(second))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_node_that_lost_its_session_is_fenced_and_told_who_has_it() {
    let store = Store::serve("").await;
    let (id, session) = (SessionId(7), SessionId(7).to_string());
    let first = store.serves(id, "a");
    let a = store.client().as_node("a").in_epoch(first.0);
    a.set(&session, "cart", b"k", &"1".into(), Condition::Any)
        .await
        .unwrap();
    let second = store.serves(id, "b");
    let fenced = |error: Error| match error {
        Error::Fenced { owner, epoch, .. } => assert_eq!((owner.as_deref(), epoch), (Some("b"), second.0)),
        other => panic!("{other:?}"),
    };
    fenced(
        a.set(&session, "cart", b"k", &"2".into(), Condition::Any)
            .await
            .unwrap_err(),
    );
    fenced(
        a.delete(&session, "cart", b"k", Condition::Any)
            .await
            .unwrap_err(),
    );
    fenced(
        a.batch(&session, "cart", [Change::remove("k")], Condition::Any)
            .await
            .unwrap_err(),
    );
    let b = a.as_node("b").in_epoch(second.0);
    let (value, _) = b.get(&session, "cart", b"k").await.unwrap().unwrap();
    assert_eq!(value, Value::text("1"));
    b.set(&session, "cart", b"k", &"3".into(), Condition::Any)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_not_there_and_what_was_revoked_and_what_is_too_large_can_be_told_apart() {
    let store = Store::serve("max_value_bytes = 8\n").await;
    let client = store.client();
    let unknown = SessionId(7).to_string();
    let set = async |id: &str, value: &str| client.set(id, "cart", b"k", &value.into(), Condition::Any).await;
    assert!(matches!(set(&unknown, "v").await, Err(Error::NotFound(_))));
    assert!(matches!(
        client.get_partition_list(&unknown).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(set("no id", "v").await, Err(Error::Invalid(_))));
    let id = client.create().await.unwrap();
    assert!(matches!(
        client.get_partition_data(&id, "cart").await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(set(&id, "123456789").await, Err(Error::TooLarge(_))));
    set(&id, "12345678").await.unwrap();
    let revoked = id.parse().unwrap();
    store.sessions.revoke(&Caller::own(), revoked).await.unwrap();
    assert!(matches!(set(&id, "v").await, Err(Error::Revoked(_))));
    assert!(matches!(
        client.get_partition_data(&id, "cart").await,
        Err(Error::Revoked(_))
    ));
    // Nobody listens where the port was let go.
    let nobody = Sessions::new(&format!("http://{}", free_address()), None);
    assert!(matches!(nobody.unwrap().create().await, Err(Error::NoAnswer(_))));
}

#[tokio::test]
async fn a_token_allows_what_it_says_and_no_token_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let store = Store::serve(&format!(
        "[[session.token]]\nfile = {:?}\naccess = \"admin\"\n\
         [[session.token]]\nfile = {:?}\npartitions = [\"cart\"]\naccess = \"read\"\n",
        file("admin"),
        file("reader")
    ))
    .await;
    let token = |name: &str| std::fs::read_to_string(file(name)).unwrap().trim().to_owned();
    for wrong in [None, Some("wrong")] {
        assert!(matches!(
            store.client_with(wrong).create().await,
            Err(Error::NotAllowed(_))
        ));
    }
    let admin = store.client_with(Some(&token("admin")));
    let id = admin.create().await.unwrap();
    admin
        .set(&id, "cart", b"k", &"v".into(), Condition::Any)
        .await
        .unwrap();
    admin
        .set(&id, "auth", b"k", &"v".into(), Condition::Any)
        .await
        .unwrap();
    let reader = store.client_with(Some(&token("reader")));
    assert!(reader.get(&id, "cart", b"k").await.unwrap().is_some());
    assert_eq!(reader.get_partition_list(&id).await.unwrap().len(), 1);
    assert!(matches!(
        reader.get(&id, "auth", b"k").await,
        Err(Error::NotAllowed(_))
    ));
    let write = reader.set(&id, "cart", b"k", &"w".into(), Condition::Any).await;
    assert!(matches!(write, Err(Error::NotAllowed(_))), "{write:?}");
}
