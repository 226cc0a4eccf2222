//! `foreshift moves` and `foreshift plan`

use std::collections::BTreeMap;

use anyhow::Result;
use foreshift_wire::{Move, PlanView};

use crate::{
    args::{OfPool, Remote},
    client::{Client, query},
    describe,
    output::{Output, Rows, name, number, time_of_day},
};

pub(super) fn moves(out: &Output, pool: &OfPool, limit: usize, remote: &Remote) -> Result<()> {
    let filter = query(&[
        ("pool", pool.pool.as_ref().map(ToString::to_string)),
        ("limit", Some(limit.to_string())),
    ]);
    let moves: Vec<Move> = Client::new(&remote.api)?.get(&format!("/v1/moves{filter}"))?;
    if remote.json {
        return out.json(&moves);
    }
    out.line(table(out, &moves))
}

fn table(out: &Output, moves: &[Move]) -> String {
    let columns = [
        ">move", "pool", "planned", "unit", "from", "to", "why", ">benefit", ">cost", "state", "outcome",
    ];
    let mut rows = Rows::new(&columns);
    for made in moves {
        rows.add([
            made.id.to_string(),
            made.pool.to_string(),
            time_of_day(made.planned_ms),
            describe::unit(&made.unit),
            made.from.to_string(),
            made.to.to_string(),
            describe::reason(&made.reason),
            number(Some(made.benefit)),
            number(Some(made.cost)),
            describe::move_state(out, made.state),
            describe::outcome(made),
        ]);
    }
    rows.text()
}

pub(super) fn plan(out: &Output, pool: &OfPool, remote: &Remote) -> Result<()> {
    let filter = query(&[("pool", pool.pool.as_ref().map(ToString::to_string))]);
    let plans: Vec<PlanView> = Client::new(&remote.api)?.get(&format!("/v1/plan{filter}"))?;
    if remote.json {
        return out.json(&plans);
    }
    for plan in &plans {
        one_plan(out, plan)?;
    }
    Ok(())
}

fn one_plan(out: &Output, view: &PlanView) -> Result<()> {
    let gated = if view.forecast_gated {
        ", on current load (forecasts gated)"
    } else {
        ""
    };
    let (moves, mode) = (view.plan.moves.len(), name(&view.mode));
    out.line(format!(
        "pool {}: {moves} moves would be made, mode {mode}{gated}",
        view.pool
    ))?;
    if moves > 0 {
        out.line(table(out, &view.plan.moves))?;
    }
    let mut stays: BTreeMap<_, u32> = BTreeMap::new();
    for stay in &view.plan.stays {
        let what = if stay.unit.is_some() { "units on" } else { "node" };
        *stays
            .entry((stay.node.to_string(), what, describe::stay(stay.reason)))
            .or_default() += 1;
    }
    for ((node, what, why), count) in stays {
        let count = if what == "node" {
            String::new()
        } else {
            format!("{count} ")
        };
        out.line(format!("  {count}{what} {node}: {why}"))?;
    }
    Ok(())
}
