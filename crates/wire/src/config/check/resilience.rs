//! Rules for what a pool does about nodes that fail or are full.

use super::{
    super::{Circuit, Config, Duration, Outlier, Overflow, Pool, Retry, RetryOn},
    finding::Table,
};

pub(super) fn check(pool: &Pool, table: &mut Table<'_>) {
    retry(pool, &pool.retry, &mut table.of("retry"));
    if let Some(circuit) = &pool.circuit {
        self::circuit(pool, circuit, &mut table.of("circuit"));
    }
    if let Some(outlier) = &pool.outlier {
        self::outlier(outlier, &mut table.of("outlier"));
    }
    if let Some(slow) = &pool.slow_start {
        let mut table = table.of("slow_start");
        table.not_zero("window", slow.window);
        table.range("aggression", slow.aggression, 0.1..=100.0);
        table.range("min_share", slow.min_share, 0.01..=1.0);
    }
}

pub(super) fn zone(config: &Config, pool: &Pool, table: &mut Table<'_>) {
    let Some(factor) = pool.zone_preference else {
        return;
    };
    table.range("zone_preference", factor, 1.0..=100.0);
    if config.ingress.zone.is_none() {
        table.add(
            "zone_preference",
            "which zone is meant is not known; set ingress.zone, or leave it out",
        );
    }
}

fn outlier(outlier: &Outlier, table: &mut Table<'_>) {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    table.range("interval", outlier.interval, second..=day);
    table.range("ejection_time", outlier.ejection_time, second..=day);
    table.range(
        "ejection_time_max",
        outlier.ejection_time_max,
        outlier.ejection_time..=day,
    );
    table.range("ejected_max", outlier.ejected_max, 0.0..=1.0);
    table.range("success_rate_factor", outlier.success_rate_factor, 0.0..=100.0);
    table.range("success_rate_nodes", outlier.success_rate_nodes, 2..=10_000);
    table.range(
        "success_rate_requests",
        outlier.success_rate_requests,
        1..=10_000_000,
    );
}

fn retry(pool: &Pool, retry: &Retry, table: &mut Table<'_>) {
    table.range("attempts", retry.attempts, 1..=10);
    table.range("budget", retry.budget, 0.0..=1.0);
    table.range("budget_min_per_second", retry.budget_min_per_second, 0.0..=1000.0);
    table.range(
        "backoff_max",
        retry.backoff_max,
        Duration::from_millis(1)..=Duration::from_secs(60),
    );
    match retry.per_try_timeout {
        Some(limit) => {
            table.not_zero("per_try_timeout", limit);
            if limit > pool.request_timeout {
                let whole = pool.request_timeout;
                table.add(
                    "per_try_timeout",
                    format!("{limit} is longer than request_timeout ({whole}), which bounds all tries; make it shorter"),
                );
            }
        }
        None if retry.on.contains(&RetryOn::Timeout) => table.add(
            "on",
            "\"timeout\" needs per_try_timeout: without it a try has all of request_timeout, and none can follow",
        ),
        None => {}
    }
}

fn circuit(pool: &Pool, circuit: &Circuit, table: &mut Table<'_>) {
    for (key, limit) in [
        ("connections", circuit.connections),
        ("requests", circuit.requests),
    ] {
        if let Some(limit) = limit {
            table.range(key, limit, 1..=10_000_000);
        }
    }
    table.range("pending", circuit.pending, 0..=1_000_000);
    table.not_zero("pending_timeout", circuit.pending_timeout);
    if circuit.overflow == Overflow::Next && pool.handoff_path.is_some() {
        table.add(
            "overflow",
            "\"next\" would send sessions to a node that does not have their state, which handoff_path says there is; \
             use \"wait\"",
        );
    }
}
