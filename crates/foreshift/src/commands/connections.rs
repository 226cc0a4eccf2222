//! `foreshift connections`

use anyhow::Result;
use foreshift_wire::{ConnectionId, ConnectionInfo, MigrateRequest, Move, NodeId};

use crate::{
    args::{Connections, ConnectionsCommand, ConnectionsList, Remote},
    client::{Client, query},
    describe,
    output::{Output, Rows, name, time_of_day},
};

pub(super) fn connections(out: &Output, args: Connections) -> Result<()> {
    match args.command {
        None => list(out, &args.list),
        Some(ConnectionsCommand::List(args)) => list(out, &args),
        Some(ConnectionsCommand::End { id, remote }) => super::runtime::end_connection(out, id, &remote),
        Some(ConnectionsCommand::Migrate { id, target, remote }) => migrate(out, id, target, &remote),
    }
}

fn list(out: &Output, args: &ConnectionsList) -> Result<()> {
    let filter = query(&[
        ("pool", args.pool.pool.as_ref().map(ToString::to_string)),
        ("node", args.node.as_ref().map(ToString::to_string)),
        ("key", args.key.clone()),
        ("limit", Some(args.limit.to_string())),
    ]);
    let found: Vec<ConnectionInfo> =
        Client::new(&args.remote.api)?.get(&format!("/v1/connections{filter}"))?;
    if args.remote.json {
        return out.json(&found);
    }
    let columns = [
        ">id",
        "pool",
        "node",
        "kind",
        "key",
        "client",
        "since",
        ">requests",
        ">bytes",
        ">switches",
        "",
    ];
    let mut rows = Rows::new(&columns);
    for connection in &found {
        rows.add([
            connection.id.to_string(),
            connection.pool.to_string(),
            connection.node.to_string(),
            name(&connection.kind),
            describe::printable(&connection.key),
            connection.client.clone(),
            time_of_day(connection.since_ms),
            connection.requests.to_string(),
            connection.bytes.to_string(),
            connection.switches.to_string(),
            if connection.moving {
                "moving".into()
            } else {
                String::new()
            },
        ]);
    }
    out.line(rows.text())
}

fn migrate(out: &Output, id: ConnectionId, target: NodeId, remote: &Remote) -> Result<()> {
    let path = format!("/v1/connections/{id}/migrate");
    let made: Move = Client::new(&remote.api)?.post(&path, &MigrateRequest { target })?;
    if remote.json {
        return out.json(&made);
    }
    out.line(format!("move {}: {}", made.id, describe::one_move(out, &made)))
}
