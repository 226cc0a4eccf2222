//! `foreshift sessions`: who has state, how much, and its end.
//!
//! Values are shown only where they are asked for, and never those of secret partitions, whatever the token allows.

mod stats;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use foreshift_wire::{EntryView, PartitionData, PartitionView, SessionId, SessionPage, SessionView};
use serde::Serialize;

use crate::{
    args::Remote,
    client::{Client, encode, query},
    describe::printable,
    output::{Output, Rows, time_of_day},
};

/// Characters of a value that are shown.
const VALUE_CHARS: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// List sessions that have state
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        access: Access,
    },
    /// Show a session and its partitions
    Show {
        id: SessionId,
        /// Also show the values, but not those of secret partitions
        #[arg(long)]
        values: bool,
        #[command(flatten)]
        access: Access,
    },
    /// End a session: delete its state and close its streams; its client may begin it anew
    End {
        id: SessionId,
        #[command(flatten)]
        access: Access,
    },
    /// End a session for good: nothing of it is let in any more
    Revoke {
        id: SessionId,
        #[command(flatten)]
        access: Access,
    },
    /// Show what was replayed to nodes, by partition, and what is replayed in parts, and why
    Stats {
        #[command(flatten)]
        access: Access,
    },
}

/// Where the API is, and what opens it.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// The file of a [[session.token]] with access = "admin", where tokens are configured
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Access {
    fn client(&self) -> Result<Client> {
        let client = Client::new(&self.remote.api)?;
        match &self.token_file {
            None => Ok(client),
            Some(file) => Ok(client.with_token(token(file)?)),
        }
    }
}

fn token(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("{} holds no token", file.display());
    }
    Ok(token.to_owned())
}

pub(super) fn sessions(out: &Output, command: &Sessions) -> Result<()> {
    match command {
        Sessions::List { limit, access } => list(out, *limit, access),
        Sessions::Show { id, values, access } => show(out, *id, *values, access),
        Sessions::End { id, access } => {
            access.client()?.delete(&format!("/v1/sessions/{id}"))?;
            done(out, access, *id, "ended")
        }
        Sessions::Revoke { id, access } => {
            access.client()?.post_only(&format!("/v1/sessions/{id}/revoke"))?;
            done(out, access, *id, "revoked")
        }
        Sessions::Stats { access } => stats::stats(out, access),
    }
}

fn done(out: &Output, access: &Access, id: SessionId, what: &str) -> Result<()> {
    match access.remote.json {
        true => out.json(&serde_json::json!({ what: id })),
        false => out.line(format!("{what} {id}")),
    }
}

fn list(out: &Output, limit: usize, access: &Access) -> Result<()> {
    let client = access.client()?;
    let mut found: Vec<SessionView> = Vec::new();
    let mut after = None;
    let more = loop {
        let page: SessionPage = client.get(&format!("/v1/sessions{}", query(&[("after", after)])))?;
        found.extend(page.sessions);
        after = page.next;
        if after.is_none() || found.len() >= limit {
            break after.is_some() || found.len() > limit;
        }
    };
    found.truncate(limit);
    if access.remote.json {
        return out.json(&found);
    }
    let mut rows = Rows::new(&["session", "pool", "node", "since", "used", "ends", ""]);
    for session in &found {
        rows.add(row(session));
    }
    out.line(rows.text())?;
    match more {
        true => out.line(format!(
            "... and more; --limit {} shows more of them",
            limit.saturating_mul(10)
        )),
        false => Ok(()),
    }
}

fn row(session: &SessionView) -> [String; 7] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        session.id.to_string(),
        or_none(session.pool.as_ref().map(ToString::to_string)),
        or_none(session.owner.as_ref().map(ToString::to_string)),
        time_of_day(session.created_ms),
        time_of_day(session.used_ms),
        time_of_day(session.ends_ms),
        session.revoked_ms.map_or_else(String::new, |_| "revoked".into()),
    ]
}

/// What is shown of a session.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    session: SessionView,
    partitions: Vec<ShownPartition>,
}

#[derive(Serialize)]
struct ShownPartition {
    #[serde(flatten)]
    partition: PartitionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<EntryView>>,
}

fn show(out: &Output, id: SessionId, values: bool, access: &Access) -> Result<()> {
    let client = access.client()?;
    let session: SessionView = client.get(&format!("/v1/sessions/{id}"))?;
    let partitions: Vec<PartitionView> = client.get(&format!("/v1/sessions/{id}/partitions"))?;
    let with_values = |partition: PartitionView| -> Result<ShownPartition> {
        let entries = match values && !partition.secret {
            true => {
                let path = format!("/v1/sessions/{id}/partitions/{}", encode(partition.name.as_str()));
                Some(client.get::<PartitionData>(&path)?.entries)
            }
            false => None,
        };
        Ok(ShownPartition { partition, entries })
    };
    let partitions = partitions.into_iter().map(with_values).collect::<Result<_>>()?;
    let shown = Shown { session, partitions };
    if access.remote.json {
        return out.json(&shown);
    }
    let mut rows = Rows::new(&["session", "pool", "node", "since", "used", "ends", ""]);
    rows.add(row(&shown.session));
    out.line(rows.text())?;
    out.line(table(&shown.partitions))
}

fn table(partitions: &[ShownPartition]) -> String {
    let mut rows = Rows::new(&["partition", ">keys", ">bytes", ">version", ""]);
    for ShownPartition { partition, entries } in partitions {
        rows.add([
            partition.name.to_string(),
            partition.keys.to_string(),
            partition.bytes.to_string(),
            partition.version.to_string(),
            if partition.secret {
                "secret".into()
            } else {
                String::new()
            },
        ]);
        for entry in entries.iter().flatten() {
            let key = format!("  {}", entry.key);
            rows.add([
                key,
                String::new(),
                String::new(),
                entry.version.to_string(),
                value(entry),
            ]);
        }
    }
    rows.text()
}

fn value(entry: &EntryView) -> String {
    match (&entry.value, &entry.value_base64) {
        (Some(text), _) if text.chars().count() > VALUE_CHARS => {
            format!(
                "{}...",
                printable(&text.chars().take(VALUE_CHARS).collect::<String>())
            )
        }
        (Some(text), _) => printable(text),
        (None, Some(text)) => format!("(about {} bytes that are no text)", text.len() / 4 * 3),
        (None, None) => String::new(),
    }
}
