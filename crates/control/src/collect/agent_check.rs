//! Asks a node's agent as HAProxy does: connect, send what is configured, read one line.
//!
//! A connection that fails changes nothing about the node: whether it can be reached is what health checks tell. It is shown.

use std::{io, net::SocketAddr};

use foreshift_telemetry::agent_check::{AgentCheckError, AgentReply, LINE_BYTES_MAX, parse};
use foreshift_wire::{AgentCheck, SourceKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Teller, What, counts_for, first_pause, pause};

/// Why there was no line.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer within {0}")]
    Timeout(foreshift_wire::Duration),
    #[error("connect: {0}")]
    Connect(io::Error),
    #[error("read: {0}")]
    Read(io::Error),
    #[error(transparent)]
    Line(#[from] AgentCheckError),
}

pub(super) async fn run(address: SocketAddr, check: AgentCheck, teller: Teller) {
    let (kind, interval) = (SourceKind::AgentCheck, check.interval.get());
    first_pause(interval).await;
    loop {
        let asked = tokio::time::timeout(interval, ask(address, &check)).await;
        let told = match asked.unwrap_or(Err(Failure::Timeout(check.interval))) {
            Ok(reply) => teller.tell(What::Agent(reply)).await,
            Err(failure) => teller.failed(kind, counts_for(interval), failure).await,
        };
        if !told {
            return;
        }
        pause(interval).await;
    }
}

async fn ask(address: SocketAddr, check: &AgentCheck) -> Result<AgentReply, Failure> {
    let mut stream = TcpStream::connect(address).await.map_err(Failure::Connect)?;
    if let Some(send) = &check.send {
        stream.write_all(send.as_bytes()).await.map_err(Failure::Read)?;
    }
    let mut line = Vec::with_capacity(128);
    let ended = |line: &[u8]| line.iter().any(|b| matches!(b, b'\r' | b'\n'));
    while !ended(&line) && line.len() <= LINE_BYTES_MAX {
        let mut part = [0; 256];
        match stream.read(&mut part).await.map_err(Failure::Read)? {
            0 => break,
            n => line.extend_from_slice(&part[..n]),
        }
    }
    Ok(parse(&line)?)
}
