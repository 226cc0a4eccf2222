//! Starting another process in the place of this one, and going on where that fails.

use std::{ffi::OsString, io, path::Path, process::Command, time::Duration};

use foreshift_meta::Meta;

/// Pause between two tries to open the metadata.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts the program again, as it was started, to take over. What comes of it is heard when it asks.
pub(super) fn start_another() {
    match spawn() {
        Ok(pid) => tracing::info!(pid, "started another process to take over"),
        Err(error) => tracing::error!(%error, "another process cannot be started; going on"),
    }
}

fn spawn() -> io::Result<u32> {
    let mut args = std::env::args_os();
    let program = args.next().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command
        .args(args.filter(|arg| arg != "--take-over"))
        .arg(OsString::from("--take-over"));
    // They are meant for this process alone.
    for meant_for_one in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
        command.env_remove(meant_for_one);
    }
    let mut child = command.spawn()?;
    let pid = child.id();
    // Waited for, so that nothing is left of it where it ends first.
    std::thread::Builder::new()
        .name("another".into())
        .spawn(move || {
            if let Ok(status) = child.wait() {
                tracing::warn!(pid, %status, "the other process has ended");
            }
        })?;
    Ok(pid)
}

/// Opens the metadata, as often as it takes: the process that has it may be on its way out. The data plane serves meanwhile.
pub(super) async fn open_again(path: &Path) -> Meta {
    let mut tries = 0_u32;
    loop {
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || Meta::open_embedded(path)).await {
            Ok(Ok(meta)) => return meta,
            Ok(Err(error)) if tries.is_multiple_of(50) => {
                tracing::error!(%error, "the metadata cannot be opened again; serving by the last routes and trying on");
            }
            _ => {}
        }
        tries = tries.wrapping_add(1);
        tokio::time::sleep(PAUSE).await;
    }
}
