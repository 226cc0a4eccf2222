//! What was measured of a node can be looked at later.

mod common;

use common::{Running, TWO_NODES, config, node_report, pool_report, start};
use foreshift_wire::{SeriesPoint, SeriesView};

fn series(running: &Running, id: &str, query: &str) -> SeriesView {
    let answer = running
        .get(&format!("/v1/pools/app/nodes/{id}/series{query}"))
        .ok();
    serde_json::from_value(answer).unwrap()
}

fn connections(running: &Running, count: u32) {
    let report = pool_report(vec![node_report("a", 80, count)]);
    running.plane.set(|seen| seen.pools = vec![report]);
}

fn smallest_and_largest(points: &[SeriesPoint]) -> Option<(f32, f32)> {
    let smallest = points.iter().map(|p| p.min).reduce(f32::min);
    smallest.zip(points.iter().map(|p| p.max).reduce(f32::max))
}

#[test]
fn every_metric_of_a_node_is_there_at_every_resolution() {
    let running = start(&config(TWO_NODES));
    connections(&running, 8);
    for metric in [
        "load_score",
        "requests_per_s",
        "response_ms_p99",
        "connections",
        "in_flight",
    ] {
        for (resolution, step_ms) in [("1s", 1_000), ("5s", 5_000), ("1m", 60_000)] {
            let query = format!("?metric={metric}&resolution={resolution}");
            let found = running.until(metric, |running| {
                let found = series(running, "a", &query);
                (!found.points.is_empty()).then_some(found)
            });
            assert_eq!(found.step_ms, step_ms);
            for point in &found.points {
                assert!(
                    point.start_ms % step_ms == 0 && point.count > 0 && point.max > 0.0,
                    "{query}: {point:?}"
                );
            }
        }
        let of_b = series(&running, "b", &format!("?metric={metric}"));
        assert!(of_b.points.is_empty(), "nobody measured {metric} of b: {of_b:?}");
    }
}

#[test]
fn a_series_holds_what_was_before_and_what_is_now() {
    let running = start(&config(TWO_NODES));
    let query = "?metric=connections&resolution=1m";
    for (now, seen) in [(8, (8.0, 8.0)), (20, (8.0, 20.0)), (3, (3.0, 20.0))] {
        connections(&running, now);
        running.until("the change is recorded", |running| {
            let points = series(running, "a", query).points;
            (smallest_and_largest(&points) == Some(seen)).then_some(())
        });
    }
}

#[test]
fn without_a_query_it_is_the_load_score_by_the_second() {
    let running = start(&config(TWO_NODES));
    let answer = running.get("/v1/pools/app/nodes/a/series").ok();
    assert_eq!(
        (&answer["metric"], &answer["resolution"]),
        (&"load_score".into(), &"1s".into())
    );
}
