//! What this process and others of this program need, and what others do.

use anyhow::{Context, Result, bail};
use procfs::process::Process;

use crate::{
    common::{self, Role},
    memory, node,
};

/// Does what another process of this program started this one for.
pub(crate) fn play(role: &str) -> Result<()> {
    match role {
        "node" => node::play(),
        "clients" => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            shared(runtime.block_on(common::clients()))
        }
        "memory" => memory::child(),
        other => bail!("there is no role {other}"),
    }
}

/// A result of what benches share.
pub(crate) fn shared<T>(result: common::Result<T>) -> Result<T> {
    result.map_err(anyhow::Error::from_boxed)
}

/// What a process says next; an error where it ended.
pub(crate) fn heard(role: &mut Role) -> Result<String> {
    let line = shared(role.line())?;
    match line.is_empty() {
        true => bail!("a process of this bench ended early"),
        false => Ok(line),
    }
}

/// An order of the process that started this one, as words.
pub(crate) fn order() -> Result<Vec<String>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// Resident bytes of a process that are no file's.
pub(crate) fn resident(id: u32) -> Result<u64> {
    let status = Process::new(id as i32)?.status()?;
    let kib = status.rssanon.or(status.vmrss);
    Ok(kib.context("the kernel does not tell resident memory")? * 1024)
}

/// CPU time that a process has used, in seconds.
pub(crate) fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = Process::new(id as i32)?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}
