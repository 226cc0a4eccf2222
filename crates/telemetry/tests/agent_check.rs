//! Agent-check lines as HAProxy documents them, and what is none.

use foreshift_telemetry::agent_check::{
    AgentAdmin::{Drain, Maint, Ready},
    AgentCheckError, AgentHealth,
    AgentHealth::{Down, Failed, Stopped, Up},
    AgentReply,
    AgentWeight::{Absolute, Percent},
    LINE_BYTES_MAX, parse,
};
use proptest::prelude::*;

fn health(health: AgentHealth, reason: &str) -> AgentReply {
    AgentReply {
        health: Some(health),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        ..Default::default()
    }
}

#[test]
fn every_documented_word_is_understood_in_any_order() {
    let empty = AgentReply::default;
    for (line, reply) in [
        (
            "75%\n",
            AgentReply {
                weight: Some(Percent(75)),
                ..empty()
            },
        ),
        (
            "0%\r\n",
            AgentReply {
                weight: Some(Percent(0)),
                ..empty()
            },
        ),
        (
            "weight:100",
            AgentReply {
                weight: Some(Absolute(100)),
                ..empty()
            },
        ),
        (
            "weight:256\n",
            AgentReply {
                weight: Some(Absolute(256)),
                ..empty()
            },
        ),
        (
            "weight:50%\n",
            AgentReply {
                weight: Some(Percent(50)),
                ..empty()
            },
        ),
        (
            "maxconn:30\n",
            AgentReply {
                maxconn: Some(30),
                ..empty()
            },
        ),
        (
            "ready\n",
            AgentReply {
                admin: Some(Ready),
                ..empty()
            },
        ),
        (
            "drain\n",
            AgentReply {
                admin: Some(Drain),
                ..empty()
            },
        ),
        (
            "maint\n",
            AgentReply {
                admin: Some(Maint),
                ..empty()
            },
        ),
        ("up\n", health(Up, "")),
        ("down\n", health(Down, "")),
        ("DOWN #no database\r\n", health(Down, "no database")),
        ("fail#disk, 75% full\n", health(Failed, "disk, 75% full")),
        ("failed", health(Failed, "")),
        ("stopped # for the night ", health(Stopped, "for the night")),
        (
            "up ready 75% maxconn:30\n",
            AgentReply {
                weight: Some(Percent(75)),
                maxconn: Some(30),
                admin: Some(Ready),
                health: Some(Up),
                reason: None,
            },
        ),
        (
            "maxconn:0,\tdrain,,weight:0 drain\nthis is not read\u{ff}",
            AgentReply {
                weight: Some(Absolute(0)),
                maxconn: Some(0),
                admin: Some(Drain),
                ..empty()
            },
        ),
        ("", empty()),
        ("\n", empty()),
        (" \t,\r", empty()),
    ] {
        // The line with the byte that is no UTF-8 is written as Latin-1.
        let bytes: Vec<u8> = line.chars().map(|c| c as u8).collect();
        assert_eq!(parse(&bytes), Ok(reply), "{line:?}");
    }
}

#[test]
fn what_is_no_line_is_refused_as_a_whole() {
    for (line, said) in [
        ("HTTP/1.1 400 Bad Request", "\"HTTP/1.1\" is no word"),
        ("up 75 %", "\"75\" is no word"),
        ("readyy", "\"readyy\" is no word"),
        ("-5%", "\"-5%\" has no whole number"),
        ("+5%", "\"+5%\" has no whole number"),
        ("7.5%", "\"7.5%\" has no whole number"),
        ("%", "\"%\" has no whole number"),
        ("25601%", "0 to 25600"),
        ("99999999999%", "0 to 25600"),
        ("weight:257", "0 to 256"),
        ("weight:", "\"weight:\" has no whole number"),
        ("weight:NaN", "\"weight:NaN\" has no whole number"),
        ("maxconn:many", "\"maxconn:many\" has no whole number"),
        ("maxconn:4294967296", "has no whole number"),
        ("ready drain", "\"drain\" contradicts"),
        ("50% weight:3", "\"weight:3\" contradicts"),
        ("up down", "\"down\" contradicts"),
    ] {
        let refused = parse(line.as_bytes()).expect_err(line).to_string();
        assert!(refused.contains(said), "{line:?}: {refused}");
    }
    assert_eq!(parse(b"up \xff"), Err(AgentCheckError::NotAscii));
    let long = vec![b' '; LINE_BYTES_MAX + 1];
    assert_eq!(parse(&long), Err(AgentCheckError::TooLong));
}

#[test]
fn a_percentage_is_one_of_the_configured_weight() {
    for (weight, configured, effective) in [
        (Percent(75), 2.0, 1.5),
        (Percent(0), 2.0, 0.0),
        (Percent(200), 0.5, 1.0),
        (Absolute(3), 2.0, 3.0),
    ] {
        assert_eq!(weight.of(configured), effective, "{weight:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(reply) = parse(&bytes) {
            prop_assert!(reply.reason.is_none_or(|reason| reason.len() <= 128));
        }
    }

    #[test]
    fn words_mean_the_same_in_any_order_and_with_any_blanks(
        mut words in Just(vec!["up", "drain", "40%", "maxconn:7"]).prop_shuffle(),
        blank in "[ \t,]{1,3}",
    ) {
        let shuffled = parse(words.join(&blank).as_bytes());
        words.sort_unstable();
        prop_assert_eq!(shuffled, parse(words.join(" ").as_bytes()));
    }
}
