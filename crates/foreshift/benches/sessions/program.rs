//! Other programs, at ports of their own; they end with the value that stands for them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Time for a program to listen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Program(Child);

impl Program {
    /// Starts a program, and waits until it listens at all these addresses.
    pub(crate) fn start(command: &mut Command, listens: &[SocketAddr]) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut program = Self(child.with_context(|| format!("start {:?}", command.get_program()))?);
        let end = Instant::now() + PATIENCE;
        while !listens.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if let Some(status) = program.0.try_wait()? {
                bail!("{:?} ended with {status}", command.get_program());
            }
            if Instant::now() > end {
                bail!("{:?} does not listen", command.get_program());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address on loopback that was free a moment ago.
pub(crate) fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
