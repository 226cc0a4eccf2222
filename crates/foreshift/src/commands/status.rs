//! `foreshift status`

use anyhow::Result;
use foreshift_wire::PoolView;

use crate::{
    args::Remote,
    client::Client,
    describe,
    output::{Output, Rows, name, number},
};

pub(super) fn status(out: &Output, remote: &Remote) -> Result<()> {
    let pools: Vec<PoolView> = Client::new(&remote.api)?.get("/v1/pools")?;
    if remote.json {
        return out.json(&pools);
    }
    for (index, pool) in pools.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        out.line(headline(pool))?;
        out.line(table(out, pool))?;
    }
    Ok(())
}

/// One line about a pool.
pub(super) fn headline(pool: &PoolView) -> String {
    let gated = match pool.forecast_gated {
        true => ", forecasts gated: plans use current load",
        false => "",
    };
    let (mode, threshold) = (name(&pool.mode), pool.load_threshold);
    format!(
        "pool {}  mode {mode}  threshold {threshold:.0}  map {}{gated}",
        pool.name, pool.map_version
    )
}

/// A pool's nodes as a table.
pub(super) fn table(out: &Output, pool: &PoolView) -> String {
    let columns = [
        "node",
        "state",
        ">load",
        ">predicted",
        ">req/s",
        ">in flight",
        ">conns",
        ">p99 ms",
        ">err/s",
        ">buckets",
        ">keys",
        "why",
    ];
    let mut rows = Rows::new(&columns);
    for node in &pool.nodes {
        let signals = &node.signals;
        rows.add([
            node.spec.id.to_string(),
            describe::node_state(out, node.observed_state),
            describe::score(out, node.load_score, pool.load_threshold),
            describe::score(out, describe::predicted(node), pool.load_threshold),
            number(signals.requests_per_s),
            number(signals.in_flight),
            signals
                .connections
                .map_or_else(|| "-".into(), |connections| format!("{connections:.0}")),
            number(signals.response_ms_p99),
            number(signals.errors_per_s),
            node.buckets.to_string(),
            node.overrides.to_string(),
            describe::why(node),
        ]);
    }
    rows.text()
}
