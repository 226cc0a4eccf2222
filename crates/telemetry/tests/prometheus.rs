//! A page of node_exporter as it was served, the oddities of the two formats, and how metrics become signals.

use std::time::Duration;

use foreshift_telemetry::prometheus::{Found, Kind, Line, Mapped, MappingError, find, parse_line};
use foreshift_wire::{MetricMapping, MetricSelector};
use proptest::prelude::*;

const PAGE: &str = include_str!("samples/node_exporter.txt");
const LATER: &str = include_str!("samples/node_exporter_later.txt");

fn selector(text: &str) -> MetricSelector {
    text.parse().unwrap()
}

fn mapping(metric: &str) -> MetricMapping {
    MetricMapping {
        metric: selector(metric),
        over: None,
        rate: None,
        scale: 1.0,
        invert: false,
    }
}

fn one(page: &str, text: &str) -> Found {
    find(page, &[&selector(text)]).unwrap()[0]
}

/// Takes one page after the other, five seconds apart.
fn signals(mapping: MetricMapping, pages: &[&str]) -> Vec<Result<Option<f64>, MappingError>> {
    let mut mapped = Mapped::new("cpu", mapping);
    let mut take = |(n, page): (usize, &&str)| {
        let selectors: Vec<_> = mapped.selectors().cloned().collect();
        let found = find(page, &selectors.iter().collect::<Vec<_>>()).unwrap();
        mapped.on(Duration::from_secs(5 * n as u64), &found)
    };
    pages.iter().enumerate().map(&mut take).collect()
}

#[test]
fn every_line_of_a_node_exporter_page_is_understood() {
    let samples = |line: &&str| matches!(parse_line(line), Ok(Line::Sample { .. }));
    let expected = PAGE.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(PAGE.lines().filter(samples).count(), expected);
    assert!(expected > 60, "the sample has {expected} series");
    assert_eq!(
        one(PAGE, "node_memory_MemTotal_bytes"),
        Found {
            sum: 25_276_510_208.0,
            series: 1,
            kind: Some(Kind::Gauge)
        }
    );
    let cpu = one(PAGE, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}");
    assert_eq!(
        (cpu.sum, cpu.series, cpu.kind),
        (13_918.15, 1, Some(Kind::Counter))
    );
    assert_eq!(one(PAGE, "node_cpu_seconds_total{mode!=\"idle\"}").series, 14);
    assert_eq!(
        one(PAGE, "node_cpu_seconds_total{mode=\"idle\",cpu!=\"0\"}").series,
        1
    );
    assert_eq!(one(PAGE, "node_cpu_seconds_total{absent=\"\"}").series, 16);
    assert_eq!(one(PAGE, "node_cpu").series, 0);
}

#[test]
fn node_exporters_pages_make_cpu_and_memory_shares() {
    let cpu = MetricMapping {
        over: Some(selector("node_cpu_seconds_total")),
        ..mapping("node_cpu_seconds_total{mode!=\"idle\",mode!=\"iowait\"}")
    };
    let [first, later] = signals(cpu, &[PAGE, LATER]).try_into().unwrap();
    assert_eq!(first, Ok(None), "one page of a counter says nothing");
    let cpu = later.unwrap().unwrap();
    assert!((0.0..=1.0).contains(&cpu), "{cpu}");
    let used = MetricMapping {
        over: Some(selector("node_memory_MemTotal_bytes")),
        invert: true,
        ..mapping("node_memory_MemAvailable_bytes")
    };
    let memory = signals(used, &[PAGE])[0].clone().unwrap().unwrap();
    let available = one(PAGE, "node_memory_MemAvailable_bytes").sum;
    assert_eq!(memory, 1.0 - available / 25_276_510_208.0);
}

#[test]
fn the_lines_of_both_formats_are_read() {
    for (line, name, value) in [
        ("up 1", "up", 1.0),
        ("  up\t1  ", "up", 1.0),
        ("up 1 1395066363000", "up", 1.0),
        ("up 1 1395066363.123", "up", 1.0),
        ("up{} 1\r", "up", 1.0),
        ("up{a=\"b\",} 1.5e+09", "up", 1.5e9),
        ("up { a = \"b\" , c=\"}\" } -3", "up", -3.0),
        ("x:y{a=\"\\\\\\\"\\n\"} 0x", "", 0.0),
        (
            "rpc_seconds_bucket{le=\"+Inf\"} +Inf",
            "rpc_seconds_bucket",
            f64::INFINITY,
        ),
        (
            "foo_bucket{le=\"1\"} 5 # {trace_id=\"x\"} 0.67",
            "foo_bucket",
            5.0,
        ),
        (
            "foo_bucket{le=\"1\"} 5 1520879607.789 # {trace_id=\"x\"} 0.67",
            "foo_bucket",
            5.0,
        ),
        ("{\"a metric\", a=\"b\"} 7", "a metric", 7.0),
        ("{\"a metric\",\"a label\"=\"b\",c=\"d\"} 7", "a metric", 7.0),
    ] {
        match (parse_line(line), name) {
            (
                Ok(Line::Sample {
                    name: found,
                    value: is,
                    ..
                }),
                name,
            ) => {
                assert_eq!((found.as_ref(), is), (name, value), "{line:?}");
            }
            (Err(_), "") => {}
            other => panic!("{line:?}: {other:?}"),
        }
    }
    for line in [
        "",
        "   ",
        "# a comment",
        "# HELP up it's up",
        "# EOF",
        "#",
        "# TYPE up",
    ] {
        assert_eq!(parse_line(line), Ok(Line::Nothing), "{line:?}");
    }
    let escaped = "up{a=\"\\\\\\\"\\n\"} 1\nup{a=\"plain\"} 2";
    assert_eq!(one(escaped, "up{a=\"\\\\\\\"\\n\"}").sum, 1.0);
}

#[test]
fn a_page_that_is_none_is_refused_with_its_line() {
    for (page, said) in [
        ("<html>", "line 1 of the page: no metric's name"),
        ("up 1\n404 page not found", "line 2 of the page: no metric's name"),
        ("up", "line 1 of the page: no number as value"),
        ("up one", "no number as value"),
        ("up 1 now", "no time behind the value"),
        ("up 1 2 3", "no time behind the value"),
        ("up{a=\"b} 1", "labels that are none"),
        ("up{a=b} 1", "labels that are none"),
        ("up{a=\"b\" c=\"d\"} 1", "labels that are none"),
        ("up{=\"b\"} 1", "labels that are none"),
        ("up{a=\"b\"", "labels that are none"),
        ("{a=\"b\"} 1", "no metric's name"),
        ("{} 1", "no metric's name"),
    ] {
        let refused = find(page, &[]).expect_err(page).to_string();
        assert!(refused.contains(said), "{page:?}: {refused}");
    }
    let many: Vec<_> = (0..300).map(|n| format!("l{n}=\"\"")).collect();
    let refused = find(&format!("up{{{}}} 1", many.join(",")), &[]).unwrap_err();
    assert!(refused.to_string().contains("more than 256 labels"));
}

#[test]
fn counters_become_rates_gauges_stay_and_what_began_anew_waits() {
    let typed = |kind: &str, value: f64| format!("# TYPE x {kind}\nx {value}");
    for (what, mapping, pages, expected) in [
        (
            "a gauge",
            mapping("x"),
            vec![typed("gauge", 0.5), typed("gauge", 0.25)],
            vec![Some(0.5), Some(0.25)],
        ),
        (
            "a counter",
            mapping("x"),
            vec![typed("counter", 10.0), typed("counter", 12.5)],
            vec![None, Some(0.5)],
        ),
        (
            "by its name",
            mapping("x_total"),
            vec!["x_total 1".into(), "x_total 2".into()],
            vec![None, Some(0.2)],
        ),
        (
            "as OpenMetrics names it",
            mapping("x_total"),
            vec!["# TYPE x gauge\nx_total 0.5".into()],
            vec![Some(0.5)],
        ),
        (
            "as it is told",
            MetricMapping {
                rate: Some(true),
                scale: 0.5,
                ..mapping("x")
            },
            vec!["x 1".into(), "x 6".into()],
            vec![None, Some(0.5)],
        ),
        (
            "a restart",
            mapping("x_total"),
            vec!["x_total 100".into(), "x_total 1".into(), "x_total 2".into()],
            vec![None, None, Some(0.2)],
        ),
        (
            "rounding",
            MetricMapping {
                invert: true,
                ..mapping("x")
            },
            vec!["x 1.0000000001".into()],
            vec![Some(0.0)],
        ),
    ] {
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let found: Vec<_> = signals(mapping, &pages).into_iter().map(Result::unwrap).collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn what_makes_no_load_says_which_signal_and_why() {
    let over = |text: &str| MetricMapping {
        over: Some(selector(text)),
        ..mapping("x")
    };
    for (mapping, page, said) in [
        (
            mapping("absent{a=\"b\"}"),
            "x 1",
            "cpu: the page has no absent{a=\"b\"}",
        ),
        (over("y"), "x 1", "cpu: the page has no y"),
        (over("y"), "x 1\ny 0", "cpu: y is 0"),
        (mapping("x"), "x NaN", "cpu: NaN is no number"),
        (mapping("x"), "x +Inf", "cpu: inf is no number"),
        (mapping("x"), "x -0.5", "cpu: -5e-1 is out of range"),
        (mapping("x"), "x 1e300", "cpu: 1e300 is out of range"),
    ] {
        let refused = signals(mapping, &[page])[0].clone().unwrap_err().to_string();
        assert!(refused.contains(said), "{page:?}: {refused}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(page in any::<String>(), line in "[a-z]{0,3}[{}=,\"\\\\ #a-z0-9.\n\u{e9}]{0,60}") {
        let wanted = selector("a{b!=\"c\"}");
        let _ = find(&page, &[&wanted]);
        let _ = find(&line, &[&wanted]);
        if let Ok(Line::Sample { labels, .. }) = parse_line(&line) {
            let _ = labels.get("a");
        }
    }

    #[test]
    fn any_value_of_a_label_is_found_again(value in any::<String>(), number in -1e9..1e9_f64) {
        let mut wanted = selector("x");
        let matcher = foreshift_wire::LabelMatcher { label: "l".into(), equal: true, value };
        wanted.matchers.push(matcher);
        // The selector writes itself as the page does.
        prop_assume!(!wanted.matchers[0].value.contains('\r'));
        let page = format!("{wanted} {number}\nx{{l=\"other\"}} 1e10\n");
        prop_assert_eq!(find(&page, &[&wanted]).unwrap()[0].sum, number);
    }
}
