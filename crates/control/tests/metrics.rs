//! What Prometheus reads.

mod common;

use std::collections::HashSet;

use common::{TWO_NODES, config, node_report, pool_report, start};

#[test]
fn metrics_are_in_the_text_format_and_add_up() {
    let running = start(&config(TWO_NODES));
    running
        .plane
        .set(|seen| seen.pools = vec![pool_report(vec![node_report("a", 5, 2)])]);
    let text = running.until("requests are counted", |running| {
        let answer = running.get("/metrics");
        assert!(
            answer.content_type.starts_with("text/plain; version=0.0.4"),
            "{answer:?}"
        );
        let counted = |line: &str| {
            let count = line.strip_prefix("foreshift_requests_total{pool=\"app\",node=\"a\"} ")?;
            count.parse().ok().filter(|count: &u64| *count >= 10)
        };
        answer.text.lines().find_map(counted).map(|_| answer.text.clone())
    });
    for line in [
        "# TYPE foreshift_requests_total counter",
        "# TYPE foreshift_request_duration_seconds histogram",
        "foreshift_connections{pool=\"app\",node=\"a\"} 2",
        "foreshift_node_state{pool=\"app\",node=\"a\",state=\"ready\"} 1",
        "foreshift_node_state{pool=\"app\",node=\"a\",state=\"down\"} 0",
        "foreshift_forecast_gated{pool=\"app\"} 0",
    ] {
        assert!(
            text.lines().any(|have| have == line),
            "{line} is missing in\n{text}"
        );
    }
    check_format(&text);
}

/// Each family is announced once, and each sample belongs to the family announced last.
fn check_format(text: &str) {
    assert!(text.ends_with('\n'));
    let (mut families, mut samples, mut family) = (HashSet::new(), HashSet::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} under {family}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(name.to_owned()), "{name} twice");
        }
    }
}
