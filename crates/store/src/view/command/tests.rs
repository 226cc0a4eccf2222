//! What is understood, and what is answered to what is not.

use proptest::prelude::*;

use super::*;

const KEY: &str = "{0123456789abcdef0123456789abcdef}:cart";

fn parse(text: &str) -> Result<Command, String> {
    let words = text.split(' ').map(|word| match word {
        "k" => KEY.to_owned(),
        other => other.to_owned(),
    });
    Command::parse(words.map(Bytes::from).collect())
}

#[test]
fn commands_are_known_by_name_in_any_case() {
    let key = || Key::parse(&KEY.into()).unwrap();
    for (text, command) in [
        ("HGET k a", Command::Get(key(), "a".into())),
        ("hGeTaLl k", Command::All(key(), Half::Both)),
        (
            "hmset k a 1",
            Command::Set(key(), vec![("a".into(), "1".into())], true),
        ),
        ("hincrby k a -7", Command::Add(key(), "a".into(), -7)),
        ("del k k", Command::Drop(vec![key(), key()])),
        ("pttl k", Command::Ends(key(), When::Millis { is_left: true })),
        ("ping", Command::Connection("ping", vec![])),
    ] {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_as_redis_says_it() {
    for (text, error) in [
        ("hget k", "ERR wrong number of arguments for 'hget' command"),
        ("hget k a b", "ERR wrong number of arguments for 'hget' command"),
        ("HSET k a 1 b", "ERR wrong number of arguments for 'hset' command"),
        ("hset k a", "ERR wrong number of arguments for 'hset' command"),
        ("hincrby k a x", NOT_AN_INTEGER),
        ("hincrby k a 9223372036854775808", NOT_AN_INTEGER),
        ("hincrby k a 01", NOT_AN_INTEGER),
        ("expire k 1.5", NOT_AN_INTEGER),
        ("expire k 1 ZZ", "ERR Unsupported option ZZ"),
        (
            "expire k 1 nx gt",
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            "expire k 1 gt lt",
            "ERR GT and LT options at the same time are not compatible",
        ),
        ("hscan k x", "ERR invalid cursor"),
        ("hscan k 0 count 0", SYNTAX),
        ("hscan k 0 match", SYNTAX),
        ("hscan k 0 foo", SYNTAX),
        (
            "lpush k a",
            "ERR unknown command 'lpush', with args beginning with: ",
        ),
        ("get k", "ERR GET is not served: a partition is a hash"),
        ("multi", "ERR MULTI is not served: "),
        ("keys *", "ERR KEYS is not served: "),
        ("hget foo a", "ERR a key is '{session}:partition'"),
    ] {
        let found = parse(text).unwrap_err();
        assert!(found.starts_with(error), "{text}: {found}");
    }
}

#[test]
fn a_time_is_taken_where_its_condition_holds() {
    let expire = |text: &str| match parse(text) {
        Ok(Command::Expire(_, expire)) => expire,
        other => panic!("{text}: {other:?}"),
    };
    for (text, found, at, holds) in [
        ("expire k 10", None, 11_000, true),
        ("expire k 10 nx", Some(5_000), 11_000, false),
        ("expire k 10 nx", None, 11_000, true),
        ("expire k 10 xx", None, 11_000, false),
        ("pexpire k 10 xx", Some(5_000), 1_010, true),
        ("expireat k 10 gt", Some(5_000), 10_000, true),
        ("expireat k 10 gt", Some(10_000), 10_000, false),
        ("expireat k 10 gt", None, 10_000, false),
        ("pexpireat k 4000 lt", Some(5_000), 4_000, true),
        ("pexpireat k 4000 lt", None, 4_000, true),
        ("pexpireat k 4000 lt", Some(3_000), 4_000, false),
        ("expire k 0", None, 0, true),
        ("expire k -5", None, 0, true),
        ("pexpireat k 999", None, 0, true),
    ] {
        let expire = expire(text);
        let new = expire.at_ms(1_000).unwrap();
        assert_eq!((new, expire.holds(new, found)), (at, holds), "{text} {found:?}");
    }
    for text in [
        "expire k 9223372036854775807",
        "pexpire k 9223372036854775807",
        "expire k -9223372036854775808",
    ] {
        let error = expire(text).at_ms(1_000).unwrap_err();
        assert!(error.starts_with("ERR invalid expire time in '"), "{error}");
    }
}

#[test]
fn times_are_told_in_their_unit() {
    for (when, told) in [
        (When::Seconds { is_left: true }, 2),
        (When::Seconds { is_left: false }, 3),
        (When::Millis { is_left: true }, 2_499),
        (When::Millis { is_left: false }, 3_499),
    ] {
        assert_eq!(when.tell(3_499, 1_000), told, "{when:?}");
    }
}

#[test]
fn every_command_is_found_by_its_name_and_none_takes_less_than_it_needs() {
    for spec in COMMANDS {
        let least = spec.arity.unsigned_abs() as usize;
        assert!(Spec::of(spec.name.to_uppercase().as_bytes()).is_some_and(|found| found.name == spec.name));
        assert!(!spec.takes(least - 1) && spec.takes(least), "{}", spec.name);
        let words = vec![Bytes::from(spec.name); least];
        // A key of the wrong form, or nothing wrong; never an arity that the table promised.
        let wrong = Command::parse(words).err().unwrap_or_default();
        assert!(!wrong.contains("number of arguments"), "{}: {wrong}", spec.name);
    }
}

proptest! {
    #[test]
    fn no_words_make_it_panic(
        at in 0..COMMANDS.len(),
        words in prop::collection::vec(prop_oneof![
            Just(Bytes::from(KEY)),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(Bytes::from),
            prop::sample::select(vec!["0", "-1", "MATCH", "COUNT", "NX", "10"]).prop_map(Bytes::from),
        ], 0..8),
    ) {
        let name = Bytes::from(COMMANDS[at].name);
        let _ = Command::parse([vec![name], words].concat());
    }
}
