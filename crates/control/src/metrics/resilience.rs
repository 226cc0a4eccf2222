//! What was done about nodes that fail or are full.

use foreshift_wire::NodeResilience;

use super::{PoolMetrics, nodes, text::Text};

type Read = fn(&NodeResilience) -> u64;

pub(super) fn write(text: &mut Text, pools: &[PoolMetrics]) {
    counted(text, pools);
    states(text, pools);
    let name = "foreshift_refused_total";
    text.family(
        name,
        "counter",
        "Requests answered with 503 because the node was at its limit, by why they did not wait longer.",
    );
    nodes(pools, |node, [pool, id]| {
        let refused = &node.totals.resilience;
        for (reason, count) in [
            ("queue_full", refused.queue_full),
            ("pending_timeout", refused.waited_in_vain),
        ] {
            text.sample(name, &[pool, id, ("reason", reason)], count);
        }
    });
    let name = "foreshift_retry_budget_exhausted_total";
    text.family(
        name,
        "counter",
        "Requests that were not sent again because the retry budget was used up.",
    );
    for pool in pools {
        text.sample(
            name,
            &[("pool", pool.pool.as_str())],
            pool.counters.over_retry_budget,
        );
    }
}

fn states(text: &mut Text, pools: &[PoolMetrics]) {
    let name = "foreshift_node_ejected";
    text.family(name, "gauge", "1 while the node is left out because it fails.");
    nodes(pools, |node, labels| {
        text.sample(name, &labels, u8::from(node.ejected));
    });
    let name = "foreshift_node_slow_start_share";
    text.family(
        name,
        "gauge",
        "Share of its weight that the node has; below 1 while it starts slowly.",
    );
    nodes(pools, |node, labels| {
        text.sample(name, &labels, node.slow_start_share);
    });
}

fn counted(text: &mut Text, pools: &[PoolMetrics]) {
    let families: [(&str, &str, &str, Read); 3] = [
        (
            "foreshift_retries_total",
            "counter",
            "Requests sent to the node after another try of them had failed.",
            |r| r.retries,
        ),
        (
            "foreshift_overflowed_total",
            "counter",
            "Requests that went to another node because this one was at its limit.",
            |r| r.overflowed,
        ),
        (
            "foreshift_pending_requests",
            "gauge",
            "Requests that wait for room at the node.",
            |r| r.pending.into(),
        ),
    ];
    for (name, kind, help, read) in families {
        text.family(name, kind, help);
        nodes(pools, |node, labels| {
            text.sample(name, &labels, read(&node.totals.resilience));
        });
    }
}
