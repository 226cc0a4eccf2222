//! What the view refuses is refused with a prefix that programs know.

mod serving;

use std::time::Duration;

use foreshift_store::{Tokens, view::Limits};
use foreshift_wire::{Session, SessionAccess, SessionPartition, SessionToken};
use redis::{RedisError, Value, cmd};
use serving::{SESSION, View, key, open};
use tokio::{io::AsyncReadExt, net::TcpStream};

async fn say(client: &mut redis::aio::MultiplexedConnection, words: &[&str]) -> Result<Value, RedisError> {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(client).await
}

#[track_caller]
fn prefix(reply: Result<Value, RedisError>) -> String {
    let error = reply.expect_err("an error");
    error.code().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_node_that_lost_the_session_is_refused_by_its_reign_and_by_its_name() {
    let view = View::start().await;
    let first = view.serve("a");
    let mut client = view.client().await;
    let in_reign = |epoch| format!("{{{SESSION}@{epoch}}}:cart");
    assert!(
        say(&mut client, &["hset", &in_reign(first), "a", "1"])
            .await
            .is_ok()
    );

    let second = view.serve("b");
    for words in [
        &["hset", &in_reign(first), "a", "2"][..],
        &["hincrby", &in_reign(first), "a", "1"],
        &["hdel", &in_reign(first), "a"],
        &["del", &in_reign(first)],
        &["expire", &in_reign(first), "10"],
    ] {
        let reply = say(&mut client, words).await;
        let text = format!("{:?}", reply.as_ref().err());
        assert_eq!(prefix(reply), "FENCED", "{words:?}");
        assert!(text.contains(&second.to_string()), "it is told the reign: {text}");
    }
    assert!(
        say(&mut client, &["hget", &in_reign(first), "a"]).await.is_ok(),
        "reads go on"
    );
    assert!(
        say(&mut client, &["hset", &in_reign(second), "a", "3"])
            .await
            .is_ok()
    );

    say(&mut client, &["client", "setname", "a"]).await.unwrap();
    assert_eq!(
        prefix(say(&mut client, &["hset", &key("cart"), "a", "4"]).await),
        "FENCED"
    );
    say(&mut client, &["client", "setname", "b"]).await.unwrap();
    assert!(say(&mut client, &["hset", &key("cart"), "a", "5"]).await.is_ok());
}

#[tokio::test]
async fn ids_that_nobody_issued_are_not_adopted() {
    let view = View::of(open(), Limits::of(&Default::default())).await;
    let mut client = view.client().await;
    for words in [
        &["hset", &*key("cart"), "a", "1"][..],
        &["hgetall", &key("cart")],
        &["exists", &key("cart")],
    ] {
        assert_eq!(prefix(say(&mut client, words).await), "NOSESSION", "{words:?}");
    }
}

#[tokio::test]
async fn a_token_that_may_only_read_some_partitions_reads_those_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a-token-for-games").unwrap();
    let token = SessionToken {
        file,
        node: None,
        partitions: vec!["game/*".parse().unwrap()],
        access: SessionAccess::Read,
    };
    let tokens = Tokens::open(&Session {
        token: vec![token],
        ..Session::default()
    })
    .unwrap();
    let view = View::of(tokens, Limits::of(&Default::default())).await;
    view.serve("a");
    let mut client = redis::Client::open(format!("redis://:a-token-for-games@{}", view.address))
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    assert!(say(&mut client, &["hgetall", &key("game/map")]).await.is_ok());
    for words in [
        &["hgetall", &*key("auth")][..],
        &["hset", &key("game/map"), "a", "1"],
        &["hset", &key("auth"), "a", "1"],
    ] {
        assert_eq!(prefix(say(&mut client, words).await), "NOPERM", "{words:?}");
    }
    let stranger = redis::Client::open(format!("redis://{}", view.address)).unwrap();
    let mut stranger = match stranger.get_multiplexed_async_connection().await {
        Ok(stranger) => stranger,
        Err(error) => return assert_eq!(error.code(), Some("NOAUTH")),
    };
    assert_eq!(
        prefix(say(&mut stranger, &["hgetall", &key("game/map")]).await),
        "NOAUTH"
    );
}

#[tokio::test]
async fn what_was_removed_of_a_secret_is_no_refusal() {
    let auth = SessionPartition {
        name: "auth".parse().unwrap(),
        pool: None,
        max_bytes: None,
        lifetime: None,
        required_by: Vec::new(),
        secret: true,
    };
    let config = Session {
        partition: vec![auth],
        ..Session::default()
    };
    let view = View::configured(config.clone(), open(), Limits::of(&config), None).await;
    view.serve("a");
    let mut client = view.client().await;
    let auth = key("auth");
    let say_all = [
        (&["hset", &*auth, "a", "1", "b", "2"][..], Ok(2)),
        (&["hget", &auth, "a"], Err("NOPERM")),
        (&["hdel", &auth, "a"], Ok(1)),
        (&["hdel", &auth, "b"], Ok(1)),
        (&["hdel", &auth, "b"], Ok(0)),
    ];
    for (words, expected) in say_all {
        match (say(&mut client, words).await, expected) {
            (Ok(found), Ok(count)) => assert_eq!(found, Value::Int(count), "{words:?}"),
            (found, Err(expected)) => assert_eq!(prefix(found), expected, "{words:?}"),
            (found, expected) => panic!("{words:?}: {found:?} where {expected:?}"),
        }
    }
}

#[tokio::test]
async fn more_connections_than_may_be_are_told_so() {
    let limits = Limits {
        connections: 2,
        idle: Duration::from_secs(3600),
        ..Limits::of(&Default::default())
    };
    let view = View::of(open(), limits).await;
    let _first = view.client().await;
    let _second = view.client().await;
    let mut third = TcpStream::connect(view.address).await.unwrap();
    let mut told = String::new();
    third.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "-ERR max number of clients reached\r\n");
}
