//! Rules for how nodes report: a pool's `orca`, `agent_check` and `prometheus`, and `[agent]`.

use std::ops::RangeInclusive;

use super::{
    super::{AgentCheck, AgentReports, Duration, Orca, Pool, PrometheusScrape},
    finding::{Findings, Table},
};

/// How often a node may be asked.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// Longest text that is sent to an agent, in bytes.
const SEND_BYTES_MAX: usize = 1_024;

pub(super) fn pool(pool: &Pool, table: &mut Table<'_>) {
    if let Some(orca) = &pool.orca {
        self::orca(orca, &mut table.of("orca"));
    }
    if let Some(check) = &pool.agent_check {
        agent_check(check, &mut table.of("agent_check"));
    }
    if let Some(scrape) = &pool.prometheus {
        prometheus(scrape, &mut table.of("prometheus"));
    }
}

fn orca(orca: &Orca, table: &mut Table<'_>) {
    match orca.out_of_band {
        Some(interval) => table.range("out_of_band", interval, INTERVALS),
        None if !orca.in_band => {
            table.add(
                "in_band",
                "without it and out_of_band nothing is read; set one of them",
            );
        }
        None if orca.port.is_some() => {
            table.add(
                "port",
                "is asked only with out_of_band; set that too, as in \"10s\"",
            );
        }
        None => {}
    }
    port("port", orca.port, table);
    for (n, name) in orca.metrics.iter().enumerate() {
        let known = name.split_once('.').is_some_and(|(map, key)| {
            matches!(map, "named_metrics" | "utilization" | "request_cost") && !key.is_empty()
        });
        if !known {
            table.add(
                &format!("metrics[{n}]"),
                format!("{name:?} is no metric of a report; write it as in \"named_metrics.queue\""),
            );
        }
    }
}

fn agent_check(check: &AgentCheck, table: &mut Table<'_>) {
    port("port", Some(check.port), table);
    table.range("interval", check.interval, INTERVALS);
    if check
        .send
        .as_ref()
        .is_some_and(|send| send.len() > SEND_BYTES_MAX)
    {
        table.add("send", format!("is too long: at most {SEND_BYTES_MAX} bytes"));
    }
}

fn prometheus(scrape: &PrometheusScrape, table: &mut Table<'_>) {
    table.path("path", &scrape.path);
    port("port", scrape.port, table);
    table.range("interval", scrape.interval, INTERVALS);
    if scrape.map.iter().next().is_none() {
        let rule = "it names no signal; set cpu, memory or utilisation";
        table.add("map", rule);
    }
    for (signal, mapping) in scrape.map.iter() {
        if !mapping.scale.is_finite() || mapping.scale == 0.0 {
            let mut table = table.of(&format!("map.{signal}"));
            table.add(
                "scale",
                format!("{} is no factor; use another one", mapping.scale),
            );
        }
    }
}

fn port(key: &str, port: Option<u16>, table: &mut Table<'_>) {
    if port == Some(0) {
        table.add(key, "0 cannot be connected to; name the port");
    }
}

pub(super) fn agent(agent: &AgentReports, findings: &mut Findings) {
    if agent.token_file.as_os_str().is_empty() {
        findings.of("agent").add("token_file", "is empty; name a file");
    }
}
