//! Writes: one script, which takes a short way where all keys are there already.
//!
//! Lua takes a microsecond for each KiB that it is given, as it hashes every string: many times what Redis itself takes. So large
//! values do not pass through it, but follow it in one transaction: the script takes the old values away where it takes the write,
//! then `HSETNX` stores the new ones, which it does only where none is, and a second script takes them away again where the
//! write was refused and there was nothing before.

use bytes::Bytes;
use redis::{Cmd, Pipeline};

use super::{
    super::{Expiry, If, Outcome, Put, Write},
    Redis, answers, layout,
    run::Call,
    scripts,
};
use crate::Error;

/// Values of a write that together are larger follow their script: below, the transaction takes longer than Lua.
const FOLLOW_OVER: usize = 3 * 1024;
/// The short way of the script takes so many keys at most, as Lua puts arguments on a stack of 8,000.
const QUICK_MAX: usize = 500;

impl Redis {
    pub(super) async fn store(&self, write: Write) -> Result<Outcome, Error> {
        // By this a script knows a try to write when it comes again.
        let id = format!("{:016x} {}", rand::random::<u64>(), write.version);
        let arguments = |cmd: &mut Cmd, follow: bool| arguments(cmd, &write, &id, follow);
        let values = |pipe: &mut Pipeline| values(pipe, &write);
        let size = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, Bytes::len) + 64;
        let bytes = write.puts.iter().map(size).sum();
        let call = match bytes > FOLLOW_OVER {
            true => Call::Write(&scripts::WRITE, &values),
            false => Call::Script(&scripts::WRITE),
        };
        let answer = self.write_with(write.session, call, bytes, &arguments).await?;
        answers::outcome(&write, answer)
    }
}

fn arguments(cmd: &mut Cmd, write: &Write, id: &str, follow: bool) {
    cmd.arg(id).arg(write.partition.as_str());
    cmd.arg(write.fence.node.as_ref().map_or("", |node| node.as_str()));
    match write.fence.epoch {
        Some(epoch) => cmd.arg(epoch.0),
        None => cmd.arg(""),
    };
    cmd.arg(write.version.0);
    condition(cmd, write.condition);
    cmd.arg(match write.replace {
        true => "r",
        false if is_quick(write) => "q",
        false => "",
    });
    match write.expiry {
        Expiry::Keep => cmd.arg("="),
        Expiry::Never => cmd.arg("-"),
        Expiry::At(at) => cmd.arg(at),
    };
    cmd.arg(write.max_bytes)
        .arg(write.max_session_bytes)
        .arg(write.now_ms);
    for put in &write.puts {
        cmd.arg(&put.key[..]);
        condition(cmd, put.condition);
        let value = put.value.as_deref();
        cmd.arg(match (value, follow) {
            (None, _) => "0",
            (Some(_), false) => "1",
            (Some(_), true) => "2",
        });
        let value = value.unwrap_or_default();
        cmd.arg(value.len()).arg(if follow { b"" } else { value });
    }
}

/// Whether the short way may do: it stores values and changes nothing else.
fn is_quick(write: &Write) -> bool {
    let is_some = (1..=QUICK_MAX).contains(&write.puts.len());
    is_some && write.expiry == Expiry::Keep && write.puts.iter().all(|put| put.value.is_some())
}

/// The values, and the end of their transaction.
fn values(pipe: &mut Pipeline, write: &Write) {
    let (key, name) = (layout::key(write.session), write.partition.as_str());
    let mut settle = redis::cmd("EVALSHA");
    settle.arg(scripts::SETTLE.hash()).arg(1).arg(&key).arg(name);
    for put in &write.puts {
        if let Some(value) = &put.value {
            let mut set = Cmd::with_capacity(4, value.len() + put.key.len() + 128);
            set.arg("HSETNX").arg(&key);
            set.arg([name.as_bytes(), b"#", &put.key].concat())
                .arg(&value[..]);
            pipe.add_command(set);
            settle.arg(&put.key[..]);
        }
    }
    pipe.add_command(settle);
}

fn condition(cmd: &mut Cmd, condition: If) {
    match condition {
        If::Any => cmd.arg("*"),
        If::Present => cmd.arg("+"),
        If::Absent => cmd.arg("-"),
        If::Is(version) => cmd.arg(version.0),
    };
}
