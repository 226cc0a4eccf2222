//! What `nodes`, `affinity` and `connections` set at run time.

use anyhow::Result;
use foreshift_wire::{
    AffinityView, ConnectionId, Count, NodeChange, NodeId, NodeView, Override, PinRequest, PoolName,
    SessionId,
};

use super::affinity;
use crate::{
    args::{Entries, InPool, Remote},
    client::{Client, query},
    output::{Output, Rows, time_of_day},
    usage::usage,
};

fn client_of(pool: &InPool, remote: &Remote) -> Result<(Client, PoolName)> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    Ok((client, pool))
}

pub(super) fn set(
    out: &Output,
    id: &NodeId,
    change: NodeChange,
    pool: &InPool,
    remote: &Remote,
) -> Result<()> {
    if change == NodeChange::default() {
        return Err(usage("say what to set: --weight, --maxconn or --health"));
    }
    let (client, pool) = client_of(pool, remote)?;
    show(
        out,
        remote,
        &client.patch(&format!("/v1/pools/{pool}/nodes/{id}"), &change)?,
    )
}

pub(super) fn reset(out: &Output, id: &NodeId, pool: &InPool, remote: &Remote) -> Result<()> {
    let (client, pool) = client_of(pool, remote)?;
    let view = client.delete_telling(&format!("/v1/pools/{pool}/nodes/{id}/runtime"))?;
    show(out, remote, &view)
}

fn show(out: &Output, remote: &Remote, view: &NodeView) -> Result<()> {
    if remote.json {
        return out.json(view);
    }
    let id = &view.spec.id;
    match view.differs.is_empty() {
        true => out.line(format!("{id} is as configured")),
        false => out.line(format!(
            "{id} differs from the configuration: {}",
            view.differs.join("; ")
        )),
    }
}

pub(super) fn end_sessions(out: &Output, id: &NodeId, pool: &InPool, remote: &Remote) -> Result<()> {
    let (client, pool) = client_of(pool, remote)?;
    let path = format!("/v1/pools/{pool}/nodes/{id}/sessions");
    counted(out, remote, client.delete_telling(&path)?, "ended")
}

pub(super) fn end_connection(out: &Output, id: ConnectionId, remote: &Remote) -> Result<()> {
    let path = format!("/v1/connections/{id}");
    counted(
        out,
        remote,
        Client::new(&remote.api)?.delete_telling(&path)?,
        "ended",
    )
}

fn counted(out: &Output, remote: &Remote, count: Count, what: &str) -> Result<()> {
    match remote.json {
        true => out.json(&count),
        false => out.line(format!("{what} {}", count.count)),
    }
}

fn filter(entries: &Entries, limit: Option<usize>) -> String {
    query(&[
        ("node", entries.node.as_ref().map(ToString::to_string)),
        ("session", entries.session.map(|session| session.to_string())),
        ("pinned", entries.pinned.then(|| "true".into())),
        ("limit", limit.map(|limit| limit.to_string())),
    ])
}

pub(super) fn entries(
    out: &Output,
    entries: &Entries,
    limit: usize,
    pool: &InPool,
    remote: &Remote,
) -> Result<()> {
    let (client, pool) = client_of(pool, remote)?;
    let path = format!("/v1/pools/{pool}/affinity{}", filter(entries, Some(limit)));
    let found: Vec<Override> = client.get(&path)?;
    if remote.json {
        return out.json(&found);
    }
    let mut rows = Rows::new(&["session", "node", "from", "until", ""]);
    for set in &found {
        rows.add([
            set.session.to_string(),
            set.node.to_string(),
            set.moving_from
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            set.expires_ms.map(time_of_day).unwrap_or_default(),
            if set.pinned {
                "pinned".into()
            } else {
                String::new()
            },
        ]);
    }
    out.line(rows.text())
}

pub(super) fn clear(
    out: &Output,
    entries: &Entries,
    all: bool,
    pool: &InPool,
    remote: &Remote,
) -> Result<()> {
    if !all && entries.node.is_none() && entries.session.is_none() && !entries.pinned {
        return Err(usage("say which: --node, --session, --pinned or --all"));
    }
    let (client, pool) = client_of(pool, remote)?;
    let path = format!("/v1/pools/{pool}/affinity{}", filter(entries, None));
    counted(out, remote, client.delete_telling(&path)?, "given back")
}

pub(super) fn pin_session(
    out: &Output,
    session: SessionId,
    pin: &PinRequest,
    pool: &InPool,
    remote: &Remote,
) -> Result<()> {
    let (client, pool) = client_of(pool, remote)?;
    let view: AffinityView = client.put(&format!("/v1/pools/{pool}/sessions/{session}"), pin)?;
    if remote.json {
        return out.json(&view);
    }
    out.line(affinity::describe(&view, &pool))
}
