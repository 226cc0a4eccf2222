//! `foreshift info`

use anyhow::Result;
use foreshift_wire::Info;

use crate::{
    args::Remote,
    client::Client,
    output::{Output, Rows},
};

pub(super) fn info(out: &Output, remote: &Remote) -> Result<()> {
    let info: Info = Client::new(&remote.api)?.get("/v1/info")?;
    if remote.json {
        return out.json(&info);
    }
    let draining = if info.draining { ", draining" } else { "" };
    let (version, pid, uptime_s) = (&info.version, info.pid, info.uptime_s);
    out.line(format!(
        "foreshift {version}, process {pid}, up {uptime_s} s{draining}"
    ))?;
    let columns = [
        "pool",
        ">nodes",
        ">ready",
        ">differ",
        ">conns",
        ">in flight",
        ">keys",
        ">map",
    ];
    let mut rows = Rows::new(&columns);
    for pool in &info.pools {
        rows.add([
            pool.pool.to_string(),
            pool.nodes.to_string(),
            pool.ready.to_string(),
            pool.differ.to_string(),
            pool.connections.to_string(),
            pool.in_flight.to_string(),
            pool.overrides.to_string(),
            pool.map_version.to_string(),
        ]);
    }
    out.line(rows.text())
}
