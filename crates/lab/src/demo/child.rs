//! Processes that are never left behind.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// A child process. Killed when dropped; it ends by itself when this process is gone, as its standard input ends.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    /// Where its standard error goes.
    log: PathBuf,
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts `command` with its standard error in the file `log`.
    pub(super) fn start(name: &str, mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let stderr = std::fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Ctrl-C is for the demo to handle; the children go on until it is done with them.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let stdin = child.stdin.take();
        Ok(Self {
            name: name.into(),
            child,
            log,
            _stdin: stdin,
        })
    }

    /// The first line that it prints.
    pub(super) async fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.take().context("its output was read before")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        let read = timeout(Duration::from_secs(10), reader.read_line(&mut line)).await;
        match read {
            Ok(Ok(length)) if length > 0 => Ok(line),
            _ => Err(self.failure("said nothing")),
        }
    }

    /// Fails where it has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&status.to_string())),
        }
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        anyhow::anyhow!("{}: {what}\n{last}", self.name)
    }

    /// Ends it and waits until it is gone.
    pub(super) async fn end(mut self) {
        // The only error is that it has ended already.
        let _ = self.child.kill().await;
    }
}
