//! `foreshift affinity`

use anyhow::Result;
use foreshift_wire::{AffinityView, PinRequest, PoolName};

use super::runtime;
use crate::{
    args::{Affinity, InPool, Remote},
    client::{Client, encode},
    output::Output,
};

pub(super) fn affinity(out: &Output, command: &Affinity) -> Result<()> {
    match command {
        Affinity::Get { key, pool, remote } => {
            with_key(out, key, pool, remote, |client, path| client.get(path))
        }
        Affinity::Pin {
            key,
            node,
            ttl,
            pool,
            remote,
        } => {
            let pin = PinRequest {
                node: node.clone(),
                ttl_s: *ttl,
            };
            with_key(out, key, pool, remote, |client, path| client.put(path, &pin))
        }
        Affinity::Unpin { key, pool, remote } => with_key(out, key, pool, remote, |client, path| {
            client.delete(path)?;
            client.get(path)
        }),
        Affinity::List {
            entries,
            limit,
            pool,
            remote,
        } => runtime::entries(out, entries, *limit, pool, remote),
        Affinity::Clear {
            entries,
            all,
            pool,
            remote,
        } => runtime::clear(out, entries, *all, pool, remote),
        Affinity::PinSession {
            session,
            node,
            ttl,
            pool,
            remote,
        } => {
            let pin = PinRequest {
                node: node.clone(),
                ttl_s: *ttl,
            };
            runtime::pin_session(out, *session, &pin, pool, remote)
        }
    }
}

fn with_key(
    out: &Output,
    key: &str,
    pool: &InPool,
    remote: &Remote,
    ask: impl FnOnce(&Client, &str) -> Result<AffinityView>,
) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    let view = ask(&client, &format!("/v1/pools/{pool}/affinity/{}", encode(key)))?;
    if remote.json {
        return out.json(&view);
    }
    out.line(describe(&view, &pool))
}

pub(super) fn describe(view: &AffinityView, pool: &PoolName) -> String {
    let node = view
        .node
        .as_ref()
        .map_or("no node (none is ready)", |node| node.as_str());
    let why = match &view.r#override {
        None => format!("as its bucket {} is", view.bucket),
        Some(set) if set.pinned => "pinned".into(),
        Some(set) => match &set.moving_from {
            Some(from) => format!("being moved there from {from}"),
            None => "moved there".into(),
        },
    };
    let key = crate::describe::printable(&view.key);
    format!(
        "{key} lives on {node} in pool {pool}, {why}\nsession {}",
        view.session
    )
}
