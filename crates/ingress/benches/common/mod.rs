//! What benches with clients and nodes in child processes share.
#![allow(
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "each bench is a crate of its own, and not each needs all"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use foreshift_meta::Txn;
use foreshift_wire::{Capacity, NodeId, NodeRecord, NodeSpec, NodeState, PoolName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

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

    pub fn id(&self) -> u32 {
        self.child.id()
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

/// Opens as many WebSockets as asked for on standard input, says so, and waits for its end.
pub async fn clients() -> Result<()> {
    let (address, count): (SocketAddr, usize) = {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        let (address, count) = line.trim().split_once(' ').ok_or("address and count")?;
        (address.parse()?, count.parse()?)
    };
    let mut sockets = Vec::with_capacity(count);
    for index in 0..count {
        let mut stream = TcpStream::connect(address).await?;
        let handshake = format!(
            "GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nx-user: u{index}\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).await?;
        let n = stream.read(&mut [0; 512]).await?;
        if n == 0 {
            return Err("a handshake was refused".into());
        }
        sockets.push(stream);
    }
    println!("open");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let mut lost = 0;
    for socket in &sockets {
        lost += usize::from(
            !matches!(socket.try_read(&mut [0; 16]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    println!("{lost}");
    Ok(())
}

/// How many descriptors this process may have.
pub fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|l| l.starts_with("Max open files"));
    line.and_then(|l| l.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(1024)
}

/// A node in a state, which is both configured and observed.
pub fn record(id: &str, address: SocketAddr, state: NodeState) -> Result<NodeRecord> {
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
    Ok(NodeRecord {
        spec,
        observed: state,
        reason: None,
        ejected: None,
        warming: None,
        agent: Default::default(),
    })
}

/// Also puts a node, see [`record`].
pub fn put(txn: Txn, pool: &PoolName, id: &str, address: SocketAddr, state: NodeState) -> Result<Txn> {
    Ok(txn.put_node(pool, &record(id, address, state)?))
}
