//! What a token may do with which partition of which session, and what it may not.

use std::{path::Path, sync::Arc};

use foreshift_store::{
    Batch, Caller, Change, Error, If, Refusal, Select, Sessions, Tokens, Value, engine::Memory,
};
use foreshift_wire::{
    NodeId, PartitionName, PartitionPattern, PoolName, Session, SessionAccess, SessionId, SessionPartition,
    SessionToken,
};

const SESSION: SessionId = SessionId(0x5e55_1011);

fn name(text: &str) -> PartitionName {
    PartitionName::new(text).unwrap()
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

/// Sessions with the secret partition `auth`, and a caller with a token that allows this.
fn with_token(
    folder: &Path,
    partitions: &[&str],
    access: SessionAccess,
    bound: Option<&str>,
) -> (Sessions, Caller) {
    let file = folder.join("token");
    let config = Session {
        partition: vec![SessionPartition {
            name: PartitionPattern::new("auth").unwrap(),
            pool: None,
            max_bytes: None,
            lifetime: None,
            required_by: Vec::new(),
            secret: true,
        }],
        token: vec![SessionToken {
            file: file.clone(),
            node: bound.map(node),
            partitions: partitions
                .iter()
                .map(|p| PartitionPattern::new(p).unwrap())
                .collect(),
            access,
        }],
        ..Session::default()
    };
    let tokens = Tokens::open(&config).unwrap();
    let token = std::fs::read_to_string(file).unwrap();
    let caller = tokens.caller(Some(token.trim().as_bytes()), None, None).unwrap();
    let sessions = Sessions::over(Arc::new(Memory::default()), config);
    sessions.serving(&PoolName::new("app").unwrap(), SESSION, &node("a"));
    (sessions, caller)
}

fn one() -> Batch {
    let change = Change {
        key: "key".into(),
        condition: If::Any,
        value: Some(Value::bytes("value")),
    };
    Batch {
        changes: vec![change],
        ..Batch::default()
    }
}

/// `true` where it was done, `false` where it was forbidden.
fn done<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Refused(Refusal::Forbidden { .. })) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_reads_and_writes_what_it_names_and_nothing_else() {
    use SessionAccess::{Admin, Read, Write};
    for (partitions, access, partition, reads, writes) in [
        (&["game"][..], Write, "game", true, true),
        (&["game"], Write, "auth", false, false),
        (&["game"], Write, "cart", false, false),
        (&["game"], Write, "game/map", false, false),
        (&["game/*"], Write, "game/map", true, true),
        (&["game/*"], Write, "game", false, false),
        (&["game", "cart"], Write, "cart", true, true),
        (&["game"], Read, "game", true, false),
        (&["game"], Admin, "auth", false, false),
        (&["*"], Write, "cart", true, true),
        // Secret: by its name only. Writing it tells nothing of it.
        (&["*"], Write, "auth", false, true),
        (&["*"], Admin, "auth", false, true),
        (&["auth"], Read, "auth", true, false),
        (&["*", "auth"], Write, "auth", true, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, caller) = with_token(folder.path(), partitions, access, None);
        // What an attacker would be after is there.
        let by_name = Caller::own();
        sessions
            .write(&by_name, SESSION, &name(partition), one())
            .await
            .unwrap();
        let what = format!("{partitions:?} {access:?} {partition}");
        let read = sessions
            .read(&caller, SESSION, &name(partition), Select::All)
            .await;
        assert_eq!(done(read), reads, "read: {what}");
        let head = sessions
            .read(&caller, SESSION, &name(partition), Select::Head)
            .await;
        assert_eq!(done(head), reads, "head: {what}");
        let written = sessions.write(&caller, SESSION, &name(partition), one()).await;
        assert_eq!(done(written), writes, "write: {what}");
        let listed = sessions.partitions(&caller, SESSION).await.unwrap();
        assert_eq!(
            listed.iter().any(|p| p.name == name(partition)),
            reads,
            "list: {what}"
        );
    }
}

#[tokio::test]
async fn only_an_admin_token_makes_and_ends_sessions() {
    for (access, may) in [
        (SessionAccess::Read, false),
        (SessionAccess::Write, false),
        (SessionAccess::Admin, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, caller) = with_token(folder.path(), &["*"], access, None);
        assert_eq!(done(sessions.create(&caller).await), may, "make: {access:?}");
        assert!(done(sessions.info(&caller, SESSION).await));
        assert_eq!(done(sessions.end(&caller, SESSION).await), may, "end: {access:?}");
    }
}

#[tokio::test]
async fn a_nodes_token_is_good_for_the_sessions_that_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let (sessions, caller) = with_token(folder.path(), &["*"], SessionAccess::Admin, Some("a"));
    let (pool, cart) = (PoolName::new("app").unwrap(), name("cart"));
    sessions.write(&caller, SESSION, &cart, one()).await.unwrap();
    sessions.read(&caller, SESSION, &cart, Select::All).await.unwrap();

    let is_fenced = |error: Error| match error {
        Error::Refused(Refusal::Fenced { owner, .. }) => owner,
        other => panic!("{other:?}"),
    };
    let nobodys = sessions.create(&Caller::own()).await.unwrap();
    assert_eq!(
        is_fenced(sessions.write(&caller, nobodys, &cart, one()).await.unwrap_err()),
        None
    );

    sessions.serving(&pool, SESSION, &node("b"));
    let b = Some(node("b"));
    assert_eq!(
        is_fenced(sessions.write(&caller, SESSION, &cart, one()).await.unwrap_err()),
        b
    );
    let read = sessions.read(&caller, SESSION, &cart, Select::All).await;
    assert_eq!(is_fenced(read.unwrap_err()), b);
    assert_eq!(
        is_fenced(sessions.partitions(&caller, SESSION).await.unwrap_err()),
        b
    );
    assert_eq!(is_fenced(sessions.info(&caller, SESSION).await.unwrap_err()), b);
    assert_eq!(is_fenced(sessions.end(&caller, SESSION).await.unwrap_err()), b);

    sessions.serving(&pool, SESSION, &node("a"));
    sessions.read(&caller, SESSION, &cart, Select::All).await.unwrap();
}

#[tokio::test]
async fn a_token_is_no_way_to_find_out_which_sessions_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (sessions, caller) = with_token(folder.path(), &["game"], SessionAccess::Write, None);
    for session in [SESSION, SessionId(1)] {
        assert!(!done(
            sessions.read(&caller, session, &name("auth"), Select::All).await
        ));
        assert!(!done(
            sessions.write(&caller, session, &name("auth"), one()).await
        ));
    }
}
