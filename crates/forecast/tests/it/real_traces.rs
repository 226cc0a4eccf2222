//! On real load the pool is no worse than persistence, and the band covers what it promises.
//!
//! Reads traces that lie beside the workspace, and says so where they are absent.

use std::path::PathBuf;

use crate::common::run;

const HORIZON: usize = 20;

/// One column of a CSV file as load scores: its 99th percentile is 80.
fn trace(file: &str, column: usize, lines: usize) -> Option<Vec<f64>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            notice(&format!("skipped, {} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let cell = |line: &str| line.split(',').nth(column)?.parse::<f64>().ok();
    let values: Vec<f64> = text.lines().skip(1).filter_map(cell).take(lines).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let full = sorted[sorted.len() * 99 / 100].max(f64::MIN_POSITIVE);
    Some(values.iter().map(|y| 80.0 * y / full).collect())
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn notice(text: &str) {
    eprintln!("{text}");
}

#[test]
fn real_load_is_forecast_at_least_as_well_as_by_persistence_and_covered() {
    // File, column, and the share of the error of persistence that may be left ten seconds or twenty steps ahead.
    for (file, column, error_share_max) in [
        ("azure_llm_2023/arrivals_1s_conv.csv", 1, 0.80),
        ("azure_llm_2023/arrivals_1s_code.csv", 1, 1.05),
        ("worldcup98/requests_per_minute.csv", 1, 0.9),
        ("nab/realAWSCloudwatch__elb_request_count_8c0756.csv", 1, 0.85),
        ("nab/realAWSCloudwatch__rds_cpu_utilization_cc0c53.csv", 1, 0.95),
        ("bitbrains_50vm/cpu_mhz_wide.csv", 14, 1.05),
    ] {
        let Some(series) = trace(file, column, 4_000) else {
            return;
        };
        let (mut counted, mut hits, mut error, mut persistence) = (0_usize, 0_u32, 0.0, 0.0);
        run(&series, |t, _, forecast| {
            if t < 200 || t + HORIZON >= series.len() {
                return;
            }
            let forecast = forecast.expect("much was seen");
            let (end, q90) = (series[t + HORIZON], forecast.quantile(0.9).expect("always there"));
            counted += 1;
            hits += u32::from(end <= q90[HORIZON - 1]);
            error += (end - forecast.point()[HORIZON - 1]).abs();
            persistence += (end - series[t]).abs();
        });
        let (covered, share) = (f64::from(hits) / counted as f64, error / persistence);
        notice(&format!(
            "{file}: {counted} forecasts, error {share:.3} of persistence, 0.9 covers {covered:.3}"
        ));
        assert!((covered - 0.9).abs() <= 0.04, "{file}: {covered}");
        assert!(share <= error_share_max, "{file}: {share}");
    }
}
