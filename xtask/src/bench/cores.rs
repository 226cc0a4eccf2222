//! One core for the proxy, one for everything else.
//!
//! A child inherits the affinity of the thread that starts it, so pinning needs no `taskset` and no code between
//! fork and exec.

use std::{fs, io, path::Path};

use anyhow::{Context, Result};
use rustix::{
    process::setpriority_process,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

const NICENESS: i32 = -19;

/// Two different cores that this process may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    pub(super) proxy: usize,
    pub(super) load: usize,
}

impl Cores {
    /// The first two that are allowed; `None` where there is only one.
    pub(super) fn choose() -> io::Result<Option<Self>> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        Ok(cores
            .next()
            .zip(cores.next())
            .map(|(proxy, load)| Self { proxy, load }))
    }

    /// Runs `start` while this thread is on the proxy's core, then goes to the load's core.
    pub(super) fn on_proxy_core<T>(self, start: impl FnOnce() -> T) -> io::Result<T> {
        pin(self.proxy)?;
        let started = start();
        pin(self.load)?;
        Ok(started)
    }
}

/// Puts this process and the proxies that it will start before all other work of the machine.
///
/// Where the kernel groups processes by session, only the group's own niceness counts against other sessions. So
/// it lasts for the session, as long as that does.
pub(super) fn go_first() -> Result<()> {
    let group = Path::new("/proc/self/autogroup");
    if group.exists() {
        fs::write(group, NICENESS.to_string()).with_context(|| format!("write {}", group.display()))?;
    }
    setpriority_process(None, NICENESS).context("raise the priority")
}

fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
