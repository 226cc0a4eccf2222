//! `foreshift forecast` without a file: what a running Foreshift expects of its nodes.

use anyhow::Result;
use foreshift_wire::{NodeForecast, NodeId};

use crate::{
    args::{OfPool, Remote},
    client::{Client, query},
    output::{Output, Rows, number},
};

pub(super) fn forecast(out: &Output, pool: &OfPool, node: Option<&NodeId>, remote: &Remote) -> Result<()> {
    let filter = query(&[
        ("pool", pool.pool.as_ref().map(ToString::to_string)),
        ("node", node.map(ToString::to_string)),
    ]);
    let forecasts: Vec<NodeForecast> = Client::new(&remote.api)?.get(&format!("/v1/forecasts{filter}"))?;
    if remote.json {
        return out.json(&forecasts);
    }
    let columns = [
        "pool",
        "node",
        ">load",
        ">peak",
        ">peak 0.5",
        ">peak 0.9",
        ">peak 0.99",
        "model",
        ">period s",
        ">error",
        ">of persistence",
        ">coverage %",
    ];
    let mut rows = Rows::new(&columns);
    for node in &forecasts {
        rows.add(row(node));
    }
    out.line(rows.text())
}

fn row(node: &NodeForecast) -> [String; 12] {
    let forecast = node.forecast.as_ref();
    let peak = |path: &[f64]| path.iter().copied().reduce(f64::max);
    let quantile = |q: f64| {
        let paths = &forecast?.quantiles;
        peak(&paths.iter().find(|path| (path.q - q).abs() < 1e-9)?.path)
    };
    [
        node.pool.to_string(),
        node.node.to_string(),
        number(node.load_score),
        number(forecast.and_then(|f| peak(&f.point))),
        number(quantile(0.5)),
        number(quantile(0.9)),
        number(quantile(0.99)),
        forecast.map_or_else(|| "too young".into(), |f| f.model.clone()),
        number(forecast.and_then(|f| f.period_s)),
        number(forecast.and_then(|f| f.error)),
        number(forecast.and_then(|f| f.error_of_persistence)),
        number(forecast.and_then(|f| f.coverage).map(|share| share * 100.0)),
    ]
}
