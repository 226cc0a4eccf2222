//! What clients ask of a server when they begin.

use bytes::Bytes;

use super::{Protocol, Reply, shown};
use crate::view::command::{COMMANDS, Spec};

/// Whose commands are spoken: clients look at it to know what they may send.
const REDIS: &str = "7.0.0";

pub(super) fn hello(id: u64, protocol: Protocol) -> Reply {
    let pair = |key: &str, value| (Reply::text(key), value);
    Reply::Map(vec![
        pair("server", Reply::text("redis")),
        pair("version", Reply::text(REDIS)),
        pair("proto", Reply::Int(protocol.number())),
        pair("id", Reply::count(id)),
        pair("mode", Reply::text("standalone")),
        pair("role", Reply::text("master")),
        pair("modules", Reply::Array(Vec::new())),
    ])
}

pub(super) fn server() -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    let lines = [
        "# Server".to_owned(),
        format!("redis_version:{REDIS}"),
        "redis_mode:standalone".into(),
        format!("foreshift_version:{version}"),
        "# Replication".into(),
        "role:master".into(),
        String::new(),
    ];
    Reply::text(lines.join("\r\n"))
}

/// `COMMAND` and what may follow it.
pub(super) fn commands(words: &[Bytes]) -> Result<Reply, String> {
    let Some((first, names)) = words.split_first() else {
        return Ok(Reply::Array(COMMANDS.iter().map(info).collect()));
    };
    let named = || names.iter().map(|name| Spec::of(name));
    Ok(match (first.to_ascii_lowercase().as_slice(), names) {
        (b"count", []) => Reply::count(COMMANDS.len() as u64),
        (b"list", []) => Reply::Array(COMMANDS.iter().map(|spec| Reply::text(spec.name)).collect()),
        (b"info", []) => Reply::Array(COMMANDS.iter().map(info).collect()),
        (b"info", _) => Reply::Array(named().map(|spec| spec.map_or(Reply::Nil, info)).collect()),
        (b"docs", []) => Reply::Map(COMMANDS.iter().map(docs).collect()),
        (b"docs", _) => Reply::Map(named().flatten().map(docs).collect()),
        _ => {
            let text = "COMMAND has COUNT, DOCS, INFO and LIST here.";
            return Err(format!("ERR unknown subcommand '{}'. {text}", shown(first)));
        }
    })
}

fn info(spec: &Spec) -> Reply {
    let flags = spec.flags().iter().map(|flag| Reply::Status(flag));
    let mut parts = vec![
        Reply::text(spec.name),
        Reply::Int(spec.arity),
        Reply::Array(flags.collect()),
    ];
    parts.extend(spec.keys().map(Reply::Int));
    // Categories, tips, key specifications, subcommands.
    parts.extend((0..4).map(|_| Reply::Array(Vec::new())));
    Reply::Array(parts)
}

fn docs(spec: &Spec) -> (Reply, Reply) {
    let group = match spec.name.starts_with('h') && spec.name != "hello" {
        true => "hash",
        false if spec.keys()[0] > 0 => "generic",
        false => "connection",
    };
    let pair = |key: &str, value: &str| (Reply::text(key), Reply::text(value));
    let pairs = vec![
        pair("summary", spec.summary),
        pair("since", "1.0.0"),
        pair("group", group),
    ];
    (Reply::text(spec.name), Reply::Map(pairs))
}
