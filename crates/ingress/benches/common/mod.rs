//! What benches with clients and nodes in child processes share.
#![allow(unreachable_pub, reason = "each bench is a crate of its own")]

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use foreshift_meta::Txn;
use foreshift_wire::{Capacity, NodeId, NodeRecord, NodeSpec, NodeState, PoolName};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// This program again, as a child process in a role that `BENCH_ROLE` names; killed with its handle.
pub struct Role {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Role {
    pub fn start(role: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env("BENCH_ROLE", role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, lines })
    }

    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().ok_or("no input")?;
        Ok(writeln!(input, "{line}")?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many descriptors this process may have.
pub fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|l| l.starts_with("Max open files"));
    line.and_then(|l| l.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(1024)
}

/// Also puts a node in a state, which is both configured and observed.
pub fn put(txn: Txn, pool: &PoolName, id: &str, address: SocketAddr, state: NodeState) -> Result<Txn> {
    let spec = NodeSpec {
        id: NodeId::new(id)?,
        address: address.to_string(),
        zone: String::new(),
        weight: 1.0,
        maxconn: None,
        capacity: Capacity::default(),
        required_partitions: Vec::new(),
        state,
        runtime: foreshift_wire::Runtime::default(),
    };
    let record = NodeRecord {
        spec,
        observed: state,
        reason: None,
        ejected: None,
        warming: None,
        agent: Default::default(),
    };
    Ok(txn.put_node(pool, &record))
}
