//! Sessions' state: operations, replay.

use foreshift_store::Sessions;

use super::text::Text;

/// Writes what the store counts.
pub(super) fn write(text: &mut Text, sessions: &Sessions) {
    let name = "foreshift_session_operations_total";
    text.family(
        name,
        "counter",
        "Reads and writes of partitions, by declaration and result.",
    );
    for one in sessions.operation_counts() {
        let labels = [
            ("operation", one.operation),
            ("partition", &*one.partition),
            ("result", one.result),
        ];
        text.sample(name, &labels, one.count);
    }
    let name = "foreshift_session_operation_seconds";
    text.family(
        name,
        "histogram",
        "Time of reads and writes of partitions, whatever came of them.",
    );
    for times in sessions.operation_times() {
        let labels = [("operation", times.operation)];
        text.buckets(name, &labels, times.cumulative.into_iter(), times.sum_s);
    }
    replay(text, sessions);
}

fn replay(text: &mut Text, sessions: &Sessions) {
    let stats = sessions.replay_stats();
    // By partition they are at /v1/sessions/stats: their names are the applications' to choose.
    let all = stats.partitions.values().chain([&stats.others]);
    let sum = |count: fn(&foreshift_store::Counts) -> u64| all.clone().map(count).sum::<u64>();
    for (name, help, value) in [
        (
            "sent_bytes_total",
            "Bytes that were made to be sent to nodes.",
            sum(|c| c.bytes_sent),
        ),
        (
            "held_bytes_total",
            "Bytes that nodes held already.",
            sum(|c| c.bytes_held),
        ),
        (
            "not_required_bytes_total",
            "Bytes that nodes did not require.",
            stats.bytes_not_required,
        ),
        (
            "portions_total",
            "Portions that were made for nodes.",
            sum(|c| c.portions),
        ),
        (
            "acknowledged_total",
            "Portions that nodes acknowledged.",
            sum(|c| c.acknowledged),
        ),
    ] {
        let name = format!("foreshift_session_replay_{name}");
        text.family(&name, "counter", help);
        text.sample(&name, &[], value);
    }
    let name = "foreshift_session_replay_known_bytes";
    text.family(name, "gauge", "Memory for what nodes are known to hold.");
    text.sample(name, &[], stats.bytes_known);
}
