//! A backend as a process of its own.

use std::io::{Read, Write};

use tokio::sync::oneshot;

use crate::{Backend, BackendOptions, demo::Ready};

/// Runs a backend: prints its address as one line of JSON, `{"address":"127.0.0.1:4711"}`, and serves until its
/// standard input ends. So it never outlives the process that started it.
pub fn run_backend(options: BackendOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut backend = Backend::start(options).await?;
        let ready = serde_json::to_string(&Ready {
            address: backend.address(),
        })?;
        writeln!(std::io::stdout(), "{ready}")?;
        tokio::select! {
            () = backend.died() => {}
            // An error means that the reader is gone, which is an end as well.
            _ = end_of_input() => {}
        }
        Ok(())
    })
}

fn end_of_input() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 256];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        // Nobody listens any more where the backend ended first.
        let _ = ended.send(());
    });
    end
}
