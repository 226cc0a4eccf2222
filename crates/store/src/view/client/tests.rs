//! Who a client is, by what it says.

use foreshift_wire::{PartitionPattern, Session, SessionAccess, SessionToken};

use super::*;

fn words(text: &str) -> Vec<Bytes> {
    text.split(' ').map(|word| Bytes::from(word.to_owned())).collect()
}

/// Everybody may come, as whichever node.
fn open() -> Tokens {
    Tokens::open(&Session::default()).unwrap()
}

/// Only who knows one of two tokens: `TOKEN` as whichever node, `BOUND` as `n1`.
fn closed() -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    let token = |name: &str, text: &str, node| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let partitions = vec![PartitionPattern::all()];
        SessionToken {
            file,
            node,
            partitions,
            access: SessionAccess::Write,
        }
    };
    let bound = NodeId::new("n1").ok();
    let token = vec![
        token("any", "any-node's-token", None),
        token("bound", "n1-node's-token!", bound),
    ];
    Tokens::open(&Session {
        token,
        ..Session::default()
    })
    .unwrap()
}

fn say(client: &mut Client, text: &str) -> Reply {
    let text = text
        .replace("TOKEN", "any-node's-token")
        .replace("BOUND", "n1-node's-token!");
    match Command::parse(words(&text)) {
        Ok(command) => client.answer(&command),
        Err(text) => Reply::Error(text),
    }
}

fn node_of(client: &Client) -> Option<&str> {
    client.caller()?.node.as_ref().map(NodeId::as_str)
}

#[test]
fn a_stranger_is_let_in_by_a_token_alone() {
    for (said, is_in, node) in [
        ("ping", false, None),
        ("select 0", false, None),
        ("client setname n1", false, None),
        ("hgetall {0123456789abcdef0123456789abcdef}:cart", false, None),
        ("auth wrong", false, None),
        ("auth n1 wrong", false, None),
        ("auth TOKEN", true, None),
        ("auth default TOKEN", true, None),
        ("auth n1 TOKEN", true, Some("n1")),
        ("auth not/a/node TOKEN", false, None),
        ("auth BOUND", true, Some("n1")),
        ("auth n1 BOUND", true, Some("n1")),
        ("auth n2 BOUND", false, None),
        ("hello", false, None),
        ("hello 3", false, None),
        ("hello 3 auth n1 TOKEN", true, Some("n1")),
        ("hello 3 auth n1 wrong", false, None),
        ("hello 3 setname n1", false, None),
        ("hello 3 auth n1 TOKEN setname other", true, Some("n1")),
    ] {
        let mut client = Client::new(closed(), 1, None);
        let reply = say(&mut client, said);
        assert_eq!(client.caller().is_some(), is_in, "{said}: {reply:?}");
        assert_eq!(matches!(reply, Reply::Error(_)), !is_in, "{said}: {reply:?}");
        assert_eq!(node_of(&client), node, "{said}");
        let after = say(&mut client, "ping");
        assert_eq!(after == Reply::Status("PONG"), is_in, "{said}");
    }
}

#[test]
fn a_wrong_token_takes_away_what_a_right_one_gave() {
    let mut client = Client::new(closed(), 1, None);
    assert_eq!(say(&mut client, "auth TOKEN"), Reply::OK);
    assert_eq!(say(&mut client, "auth wrong"), Reply::error(WRONG));
    assert_eq!(say(&mut client, "ping"), Reply::error(NO_AUTH));
    assert_eq!(say(&mut client, "auth TOKEN"), Reply::OK);
    assert_eq!(say(&mut client, "reset"), Reply::Status("RESET"));
    assert_eq!(say(&mut client, "ping"), Reply::error(NO_AUTH));
}

#[test]
fn without_tokens_a_name_says_which_node_it_is() {
    for (said, node) in [
        ("client setname n1", Some("n1")),
        ("hello 3 setname n1", Some("n1")),
        ("auth n1 whatever", Some("n1")),
        ("hello 2 auth n1 whatever", Some("n1")),
        ("hello 2 auth default x", None),
        ("client setname no/node", None),
        ("ping", None),
    ] {
        let mut client = Client::new(open(), 1, None);
        let reply = say(&mut client, said);
        assert!(!matches!(reply, Reply::Error(_)), "{said}: {reply:?}");
        assert_eq!(node_of(&client), node, "{said}");
    }
    let mut client = Client::new(open(), 1, None);
    assert_eq!(say(&mut client, "auth pass"), Reply::error(NOT_NEEDED));
    assert!(client.caller().is_some(), "it lost nothing");
}

#[test]
fn what_clients_ask_at_their_begin_is_answered() {
    let mut client = Client::new(open(), 7, "127.0.0.1:9".parse().ok());
    assert_eq!(say(&mut client, "client getname"), Reply::Nil);
    assert_eq!(say(&mut client, "client setname app-1"), Reply::OK);
    assert_eq!(say(&mut client, "client getname"), Reply::text("app-1"));
    assert_eq!(say(&mut client, "CLIENT ID"), Reply::Int(7));
    assert_eq!(say(&mut client, "client setinfo LIB-NAME redis-py"), Reply::OK);
    assert_eq!(say(&mut client, "select 0"), Reply::OK);
    assert_eq!(
        say(&mut client, "command count"),
        Reply::Int(super::super::command::COMMANDS.len() as i64)
    );
    let Reply::Bytes(line) = say(&mut client, "client info") else {
        panic!()
    };
    assert!(line.starts_with(b"id=7 addr=127.0.0.1:9 name=app-1 "), "{line:?}");
    let Reply::Map(docs) = say(&mut client, "command docs hget nothing") else {
        panic!()
    };
    assert_eq!(docs.len(), 1);
    let Reply::Array(info) = say(&mut client, "command info hget nothing") else {
        panic!()
    };
    assert_eq!(info[1], Reply::Nil);
    assert!(matches!(say(&mut client, "hello 3"), Reply::Map(_)));
    assert_eq!(client.protocol(), Protocol::Three);
    assert_eq!(say(&mut client, "reset"), Reply::Status("RESET"));
    assert_eq!((client.protocol(), client.name.is_empty()), (Protocol::Two, true));
    for wrong in [
        "hello 4",
        "hello 3 foo",
        "hello 3 auth a",
        "client foo",
        "client setname",
        "client setinfo a b",
        "select 1",
        "command foo",
    ] {
        assert!(matches!(say(&mut client, wrong), Reply::Error(_)), "{wrong}");
    }
    assert_eq!(say(&mut client, "quit"), Reply::OK);
    assert!(client.is_leaving());
}
