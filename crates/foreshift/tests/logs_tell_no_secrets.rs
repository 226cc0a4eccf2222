//! The log of a whole exercise, down to traces, holds no value, no token, no key and no session's id.

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use common::{
    foreshift::{Foreshift, config, free_address, write},
    peers::{Node, curl},
    until,
};

const VALUE: &str = "5ome-Value-That-Nobody-Else-Says";
const SECRET_VALUE: &str = "An0ther-Value-Of-A-Secret-Partition";

/// Whether a log has a text, as it is or in capitals, as Debug shows bytes or as hex.
fn tells(log: &str, secret: &str) -> bool {
    let numbers = |form: fn(&u8) -> String, between: &str| {
        secret
            .as_bytes()
            .iter()
            .map(form)
            .collect::<Vec<_>>()
            .join(between)
    };
    let forms = [
        secret.to_owned(),
        numbers(|byte| format!("{byte}"), ", "),
        numbers(|byte| format!("{byte:02x}"), ""),
    ];
    let log = log.to_ascii_lowercase();
    forms.iter().any(|form| log.contains(&form.to_ascii_lowercase()))
}

/// Sends commands to the Redis view, each a line, and gives all that it answers.
fn redis(view: SocketAddr, commands: &str) -> String {
    let mut stream = TcpStream::connect(view).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    stream.write_all(b"QUIT\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    answers
}

#[test]
fn a_search_finds_a_secret_in_every_form() {
    for log in ["x abc y", "x ABC y", "[97, 98, 99]", "0x616263"] {
        assert!(tells(log, "abc"), "{log}");
    }
    assert!(!tells("ab c", "abc"));
}

#[test]
fn the_log_of_a_whole_exercise_tells_nothing() {
    let a = Node::http("a");
    let (view, free) = (free_address(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let folder = tempfile::tempdir().unwrap();
    let session = format!(
        "[session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\nredis_view = \"{view}\"\n\
         [[session.partition]]\nname = \"auth\"\nsecret = true\n\
         [[session.token]]\nfile = \"admin.token\"\naccess = \"admin\"\npartitions = [\"*\", \"auth\"]\n\
         [[session.token]]\nfile = \"game.token\"\npartitions = [\"game\"]\n"
    );
    write(folder.path(), &(config(free, free, &[&a], "") + &session));
    let mut foreshift = Foreshift::with_environment(folder, &[("RUST_LOG", "trace")]);
    let read = |name: &str| fs::read_to_string(foreshift.folder().join(name)).unwrap();
    let (admin, game) = (read("admin.token"), read("game.token"));
    let (admin, game) = (admin.trim().to_owned(), game.trim().to_owned());
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let ask = |token: &str, more: &[&str], path: &str| {
        let (header, url) = (bearer(token), foreshift.api.url(path));
        let mut arguments = vec!["-H", &*header];
        arguments.extend(more);
        arguments.push(&url);
        curl(&arguments)
    };

    // Requests over the ingress, writes and reads over HTTP, good and refused.
    assert_eq!(curl(&["-H", "x-user: ann", &foreshift.url("/")]).0, 200);
    let (status, made) = ask(&admin, &["-X", "POST"], "/v1/sessions");
    assert_eq!(status, 201, "{made}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    for (partition, value) in [("cart", VALUE), ("auth", SECRET_VALUE)] {
        let path = format!("/v1/sessions/{id}/partitions/{partition}/key");
        let (status, body) = ask(&admin, &["-X", "PUT", "-d", value], &path);
        assert!((200..300).contains(&status), "{status} {body}");
        assert_eq!(ask(&admin, &[], &path), (200, value.to_owned()));
        assert_eq!(ask(&game, &[], &path).0, 403);
        assert_eq!(ask("no-token-of-anybody", &[], &path).0, 401);
    }
    // And over the Redis view.
    let answers = redis(
        view,
        &format!("AUTH {admin}\r\nHGET {{{id}}}:cart key\r\nHGETALL {{{id}}}:auth\r\n"),
    );
    assert!(
        answers.contains(VALUE) && answers.contains(SECRET_VALUE),
        "{answers}"
    );
    let answers = redis(
        view,
        &format!("AUTH {game}\r\nHGET {{{id}}}:auth key\r\nFOO {VALUE}\r\nAUTH {VALUE}\r\n"),
    );
    assert!(!answers.contains(SECRET_VALUE), "{answers}");

    // A rotation, while it runs.
    let keys = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
        command
            .current_dir(foreshift.folder())
            .arg("keys")
            .args(arguments);
        command.args(["-c", "foreshift.toml"]).output().unwrap()
    };
    let first = read("session.keys");
    let old = first.lines().last().unwrap().split(' ').nth(1).unwrap();
    assert!(keys(&["rotate"]).status.success());
    let retired = keys(&["retire", old]);
    assert!(retired.status.success(), "{retired:?}");
    let second = read("session.keys");
    assert!(!second.contains(old));
    assert_eq!(
        ask(&admin, &[], &format!("/v1/sessions/{id}/partitions/cart/key")),
        (200, VALUE.into())
    );
    // A key file that cannot be used: what it has is not shown.
    let damaged = second.replace("current", "curent");
    let file = foreshift.folder().join("session.keys");
    fs::write(&file, damaged).unwrap();
    until("the damaged key file is complained about", || {
        foreshift
            .process
            .printed()
            .contains("session.keys: line")
            .then_some(())
    });

    foreshift.process.terminate();
    let log = foreshift.process.printed_at_end();
    assert!(log.contains("DEBUG"), "it is not all written");
    assert!(log.contains(old), "a rotation is told of by the key's id");
    let key = |text: &str| text.lines().last().unwrap().split(' ').nth(3).unwrap().to_owned();
    for (what, secret) in [
        ("a value", VALUE.to_owned()),
        ("a value of a secret partition", SECRET_VALUE.to_owned()),
        ("a token", admin),
        ("another token", game),
        ("the first master key", key(&first)),
        ("the second master key", key(&second)),
        ("a session's id", id),
    ] {
        let line = log.lines().find(|line| tells(line, &secret));
        assert_eq!(line, None, "{what} is in the log");
    }
}
