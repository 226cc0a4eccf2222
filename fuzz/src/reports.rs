//! What nodes say of themselves.

use foreshift_telemetry::{
    agent_check,
    orca::{self, LoadReport},
    prometheus,
};
use foreshift_wire::MetricSelector;

/// A report by a header, in any of its forms.
pub(crate) fn orca_header(bytes: &[u8]) {
    for report in [orca::parse_header(bytes), orca::parse_bin_header(bytes)]
        .into_iter()
        .flatten()
    {
        within_range(&report);
    }
}

/// A report as a protobuf message.
pub(crate) fn orca_message(bytes: &[u8]) {
    if let Ok(report) = orca::parse_message(bytes) {
        within_range(&report);
    }
}

/// No number is one that a score could not be made of.
fn within_range(report: &LoadReport) {
    let rates = [
        report.cpu,
        report.application,
        report.requests_per_s,
        report.errors_per_s,
    ];
    assert!(
        rates
            .into_iter()
            .flatten()
            .all(|value| value.is_finite() && value >= 0.0)
    );
    let shares = report
        .utilisation
        .iter()
        .map(|(_, value)| *value)
        .chain(report.memory);
    assert!(shares.into_iter().all(|value| (0.0..=1.0).contains(&value)));
    let numbers = report.named.iter().chain(&report.request_cost);
    assert!(numbers.into_iter().all(|(_, value)| value.is_finite()));
    let own = report.own_load(&["named_metrics.queue".into()]);
    let own = [own.cpu, own.memory, own.utilisation];
    assert!(
        own.into_iter()
            .flatten()
            .all(|value| value.is_finite() && value >= 0.0)
    );
}

/// A line of an agent.
pub(crate) fn agent_check(bytes: &[u8]) {
    if let Ok(reply) = agent_check::parse(bytes) {
        let weight = reply.weight.map_or(0.0, |weight| weight.of(1.0));
        assert!((0.0..=256.0).contains(&weight));
        assert!(
            reply
                .reason
                .is_none_or(|reason| !reason.contains(char::is_control))
        );
    }
}

/// A page of Prometheus.
pub(crate) fn prometheus(bytes: &[u8]) {
    let page = String::from_utf8_lossy(bytes);
    let selectors: Vec<MetricSelector> = ["node_load1", "node_cpu_seconds_total{mode!=\"idle\"}"]
        .iter()
        .map(|selector| selector.parse().expect("a selector"))
        .collect();
    let selectors: Vec<&MetricSelector> = selectors.iter().collect();
    if let Ok(found) = prometheus::find(&page, &selectors) {
        assert_eq!(found.len(), selectors.len());
        assert!(found.iter().all(|found| found.series <= page.lines().count()));
    }
}

/// A selector as a configuration has it: what is read says itself.
pub(crate) fn metric_selector(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(selector) = text.parse::<MetricSelector>() {
        assert_eq!(selector.to_string().parse(), Ok(selector));
    }
}
