//! What the demo is asked for, and the way in.

use std::{io::Write, path::PathBuf};

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    compare,
    live::{Quiet, Screen},
    run::{self, Approach},
    setting::Setting,
};
use crate::load::Trace;

/// What `foreshift demo` was asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The `foreshift` program, which is ingress, control and backends.
    pub program: PathBuf,
    /// How long the load lasts.
    pub seconds: u32,
    /// How many users there are, each with a WebSocket.
    pub sessions: usize,
    /// Of everything that is drawn.
    pub seed: u64,
    /// What decides on moves, where nothing is compared.
    pub approach: Approach,
    /// Play the same load with moves off, reactive and predictive.
    pub compare: bool,
    /// Print JSON.
    pub json: bool,
    /// CSV with the load's shape.
    pub trace: Option<PathBuf>,
    /// Burn CPU in the backends rather than wait.
    pub burn: bool,
    /// Kill a backend halfway.
    pub kill: bool,
}

/// Runs the demo until its time is over or it is interrupted, and prints what it saw. No process is left behind.
pub fn demo(options: &DemoOptions) -> anyhow::Result<()> {
    let trace = options.trace.as_deref().map(|path| {
        let csv = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Trace::parse(&csv).with_context(|| format!("read {}", path.display()))
    });
    let setting = Setting::draw(options, trace.transpose()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = stop_on_signals()?;
        match options.compare {
            true => compare::compare(options, &setting, stop).await,
            false => once(options, &setting, stop).await,
        }
    })
}

async fn once(options: &DemoOptions, setting: &Setting, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    if options.json {
        let summary = run::run(options, setting, options.approach, &mut Quiet::default(), stop).await?;
        return print(&(serde_json::to_string_pretty(&summary)? + "\n"));
    }
    print(&setting.describe())?;
    let summary = run::run(
        options,
        setting,
        options.approach,
        &mut Screen::new(setting),
        stop,
    )
    .await?;
    print(&format!("\n{summary}"))
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Becomes true with the first Ctrl-C (or its like): the load ends in order. The second one ends the process at
/// once; the children notice and end too.
fn stop_on_signals() -> anyhow::Result<watch::Receiver<bool>> {
    let mut signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .into_iter()
    .map(signal)
    .collect::<Result<Vec<_>, _>>()?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        for _ in 0..2 {
            let any =
                futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
            any.await;
            if stop.send_replace(true) {
                std::process::exit(130);
            }
        }
    });
    Ok(stopped)
}
