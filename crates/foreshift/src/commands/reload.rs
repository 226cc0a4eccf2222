//! `foreshift reload`

use anyhow::Result;
use foreshift_wire::{ChangeKind, Reloaded};

use crate::{args::Remote, client::Client, output::Output};

pub(super) fn reload(out: &Output, remote: &Remote) -> Result<()> {
    let reloaded: Reloaded = Client::new(&remote.api)?.post("/v1/reload", &())?;
    if remote.json {
        return out.json(&reloaded);
    }
    if reloaded.changes.is_empty() {
        out.line("nothing changed")?;
    }
    for change in &reloaded.changes {
        let sign = match change.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        let later = match change.needs_restart {
            true => "  needs a restart",
            false => "",
        };
        out.line(format!("{sign} {}{later}", change.key))?;
    }
    for warning in &reloaded.warnings {
        out.line(format!("warning: {warning}"))?;
    }
    Ok(())
}
