//! `foreshift events`

use anyhow::{Result, bail};
use foreshift_wire::{Event, NodeView};

use crate::{
    args::{OfPool, Remote},
    client::{Client, Told, query},
    describe,
    output::{Output, name, number, time_of_day},
};

pub(super) fn events(out: &Output, pool: &OfPool, ticks: bool, remote: &Remote) -> Result<()> {
    let filter = query(&[("pool", pool.pool.as_ref().map(ToString::to_string))]);
    let client = Client::new(&remote.api)?;
    client.events(&format!("/v1/events{filter}"), |told| match told {
        Told::Event(event) if !ticks && matches!(*event, Event::Tick { .. }) => Ok(()),
        Told::Event(event) if remote.json => out.json_line(&event),
        Told::Event(event) => out.line(line(out, &event)),
        Told::Lagged(missed) if remote.json => {
            out.json_line(&serde_json::json!({ "type": "lagged", "missed": missed }))
        }
        Told::Lagged(missed) => out.line(format!(
            "{missed} events were missed: they came faster than they were read"
        )),
    })?;
    bail!("the server ended the stream of events; was it stopped?")
}

fn line(out: &Output, event: &Event) -> String {
    match event {
        Event::Tick { at_ms, pool, nodes } => {
            let loads: Vec<_> = nodes.iter().map(load).collect();
            format!("{} {pool} load {}", time_of_day(*at_ms), loads.join("  "))
        }
        Event::Move(made) => {
            let at_ms = made
                .outcome
                .as_ref()
                .map_or(made.planned_ms, |outcome| outcome.ended_ms);
            let what = describe::one_move(out, made);
            format!("{} {} move {}: {what}", time_of_day(at_ms), made.pool, made.id)
        }
        Event::Node {
            at_ms,
            pool,
            node,
            state,
            reason,
        } => {
            let reason = describe::printable(reason);
            format!(
                "{} {pool} node {node} is {}: {reason}",
                time_of_day(*at_ms),
                name(state)
            )
        }
        Event::Outlier {
            at_ms,
            pool,
            node,
            ejected,
        } => {
            let what = ejected
                .as_ref()
                .map_or_else(|| "takes part again".into(), describe::ejection);
            format!("{} {pool} node {node} {what}", time_of_day(*at_ms))
        }
    }
}

fn load(node: &NodeView) -> String {
    format!(
        "{} {}→{}",
        node.spec.id,
        number(node.load_score),
        number(describe::predicted(node))
    )
}
