//! `foreshift nodes`

use std::time::Duration;

use anyhow::Result;
use foreshift_wire::{
    Capacity, NodeChange, NodeId, NodeRequest, NodeState, NodeView, PoolView, Resolution, SeriesMetric,
    SeriesView, StateRequest,
};

use super::{runtime, status};
use crate::{
    args::{InPool, NodeAdd, Nodes, NodesCommand, Remote},
    client::{Client, query},
    describe,
    output::{Output, Rows, name, number, time_of_day},
};

pub(super) fn nodes(out: &Output, args: Nodes) -> Result<()> {
    match args.command {
        None => list(out, &args),
        Some(NodesCommand::Add(add)) => self::add(out, add),
        Some(NodesCommand::Remove {
            id,
            force,
            pool,
            remote,
        }) => remove(out, &id, force, &pool, &remote),
        Some(NodesCommand::Drain {
            id,
            wait,
            pool,
            remote,
        }) => {
            set(out, &id, NodeState::Draining, &pool, &remote)?;
            if wait {
                wait_until_empty(out, &id, &pool, &remote)
            } else {
                Ok(())
            }
        }
        Some(NodesCommand::Ready { id, pool, remote }) => set(out, &id, NodeState::Ready, &pool, &remote),
        Some(NodesCommand::Down { id, pool, remote }) => set(out, &id, NodeState::Down, &pool, &remote),
        Some(NodesCommand::Set {
            id,
            weight,
            maxconn,
            health,
            pool,
            remote,
        }) => {
            let change = NodeChange {
                weight,
                maxconn,
                health,
            };
            runtime::set(out, &id, change, &pool, &remote)
        }
        Some(NodesCommand::Reset { id, pool, remote }) => runtime::reset(out, &id, &pool, &remote),
        Some(NodesCommand::EndSessions { id, pool, remote }) => {
            runtime::end_sessions(out, &id, &pool, &remote)
        }
        Some(NodesCommand::Series {
            id,
            metric,
            resolution,
            pool,
            remote,
        }) => series(out, &id, (metric, resolution), &pool, &remote),
    }
}

fn list(out: &Output, args: &Nodes) -> Result<()> {
    let client = Client::new(&args.remote.api)?;
    let pools: Vec<PoolView> = match &args.pool.pool {
        Some(pool) => vec![client.get(&format!("/v1/pools/{pool}"))?],
        None => client.get("/v1/pools")?,
    };
    if args.remote.json {
        let nodes: Vec<&NodeView> = pools.iter().flat_map(|pool| &pool.nodes).collect();
        return out.json(&nodes);
    }
    for pool in &pools {
        if pools.len() > 1 {
            out.line(status::headline(pool))?;
        }
        out.line(status::table(out, pool))?;
        if pool.nodes.iter().any(|node| !node.sources.is_empty()) {
            out.line("")?;
            out.line(sources(pool))?;
        }
    }
    Ok(())
}

/// What the nodes say of themselves, by source.
fn sources(pool: &PoolView) -> String {
    let mut rows = Rows::new(&[
        "node",
        "source",
        ">cpu",
        ">memory",
        ">utilisation",
        ">age",
        "state",
        "error",
    ]);
    for node in &pool.nodes {
        for source in &node.sources {
            let age = source
                .age_ms
                .map_or_else(|| "-".into(), |ms| format!("{:.1} s", ms as f64 / 1e3));
            let state = if source.stale { "stale" } else { "fresh" };
            rows.add([
                node.spec.id.to_string(),
                source.kind.name().into(),
                percent(source.load.cpu),
                percent(source.load.memory),
                percent(source.load.utilisation),
                age,
                state.into(),
                describe::printable(source.error.as_deref().unwrap_or_default()),
            ]);
        }
    }
    rows.text()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.0} %", share * 100.0))
}

fn add(out: &Output, args: NodeAdd) -> Result<()> {
    let client = Client::new(&args.remote.api)?;
    let pool = client.pool(args.pool.pool.as_ref())?;
    let capacity = Capacity {
        requests_in_flight: args.requests_in_flight,
        connections: args.connections,
        requests_per_second: args.requests_per_second,
        ..Default::default()
    };
    let request = NodeRequest {
        id: args.id,
        address: args.address,
        zone: args.zone,
        weight: Some(args.weight),
        maxconn: args.maxconn,
        capacity,
        state: None,
        required_partitions: args.required_partitions,
    };
    let view: NodeView = client.post(&format!("/v1/pools/{pool}/nodes"), &request)?;
    if args.remote.json {
        return out.json(&view);
    }
    out.line(format!(
        "added {} to pool {pool}; it is {}",
        view.spec.id,
        name(&view.observed_state)
    ))
}

fn remove(out: &Output, id: &NodeId, force: bool, pool: &InPool, remote: &Remote) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    let query = if force { "?force=true" } else { "" };
    client.delete(&format!("/v1/pools/{pool}/nodes/{id}{query}"))?;
    match remote.json {
        true => out.json(&serde_json::json!({ "pool": pool, "removed": id })),
        false => out.line(format!("removed {id} from pool {pool}")),
    }
}

fn set(out: &Output, id: &NodeId, state: NodeState, pool: &InPool, remote: &Remote) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    let view: NodeView = client.put(
        &format!("/v1/pools/{pool}/nodes/{id}/state"),
        &StateRequest { state },
    )?;
    if remote.json {
        return out.json(&view);
    }
    out.line(format!("{id} is {}", name(&view.observed_state)))
}

fn series(
    out: &Output,
    id: &NodeId,
    (metric, resolution): (SeriesMetric, Resolution),
    pool: &InPool,
    remote: &Remote,
) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    let filter = query(&[
        ("metric", Some(name(&metric))),
        ("resolution", Some(name(&resolution))),
    ]);
    let series: SeriesView = client.get(&format!("/v1/pools/{pool}/nodes/{id}/series{filter}"))?;
    if remote.json {
        return out.json(&series);
    }
    let mut rows = Rows::new(&["from", ">mean", ">min", ">max", ">rounds"]);
    for point in &series.points {
        rows.add([
            time_of_day(point.start_ms),
            number(Some(point.mean)),
            number(Some(point.min.into())),
            number(Some(point.max.into())),
            point.count.to_string(),
        ]);
    }
    out.line(rows.text())
}

fn wait_until_empty(out: &Output, id: &NodeId, pool: &InPool, remote: &Remote) -> Result<()> {
    let client = Client::new(&remote.api)?;
    let pool = client.pool(pool.pool.as_ref())?;
    loop {
        let nodes: Vec<NodeView> = client.get(&format!("/v1/pools/{pool}/nodes"))?;
        let Some(node) = nodes.iter().find(|node| node.spec.id == *id) else {
            anyhow::bail!("{id} was removed from pool {pool} meanwhile");
        };
        if node.observed_state != NodeState::Draining {
            anyhow::bail!("{id} is {} and no longer draining", name(&node.observed_state));
        }
        let left = node.signals.connections.unwrap_or(0.0) + node.signals.in_flight.unwrap_or(0.0);
        if left <= 0.0 && node.overrides == 0 {
            return if remote.json {
                Ok(())
            } else {
                out.line(format!("nothing is left on {id}"))
            };
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
