//! `foreshift affinity`

use anyhow::Result;
use foreshift_wire::{AffinityView, PinRequest, PoolName};

use crate::{
    args::Affinity,
    client::{Client, encode},
    output::Output,
};

pub(super) fn affinity(out: &Output, command: &Affinity) -> Result<()> {
    let (Affinity::Get { key, pool, remote }
    | Affinity::Pin {
        key, pool, remote, ..
    }
    | Affinity::Unpin { key, pool, remote }) = command;
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    let path = format!("/v1/pools/{pool}/affinity/{}", encode(key));
    let view: AffinityView = match command {
        Affinity::Get { .. } => client.get(&path)?,
        Affinity::Pin { node, ttl, .. } => client.put(
            &path,
            &PinRequest {
                node: node.clone(),
                ttl_s: *ttl,
            },
        )?,
        Affinity::Unpin { .. } => {
            client.delete(&path)?;
            client.get(&path)?
        }
    };
    if remote.json {
        return out.json(&view);
    }
    out.line(describe(&view, &pool))
}

fn describe(view: &AffinityView, pool: &PoolName) -> String {
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
