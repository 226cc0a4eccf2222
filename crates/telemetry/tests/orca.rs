//! ORCA reports as nodes send them, and what is no report.

use foreshift_telemetry::orca::{
    LoadReport, METRICS_MAX, OrcaError, OrcaLoadReport, VALUE_BYTES_MAX, parse_bin_header, parse_header,
    parse_message,
};
use proptest::prelude::*;
use prost::Message;

/// The report of Envoy's own tests of its parser.
fn envoys() -> LoadReport {
    LoadReport {
        cpu: Some(0.7),
        application: Some(0.8),
        memory: Some(0.9),
        requests_per_s: Some(1000.0),
        errors_per_s: Some(2.0),
        named: vec![("bar".into(), 0.2), ("foo".into(), 123.0)],
        ..Default::default()
    }
}

fn envoys_message() -> Vec<u8> {
    OrcaLoadReport {
        cpu_utilization: 0.7,
        application_utilization: 0.8,
        mem_utilization: 0.9,
        eps: 2.0,
        rps_fractional: 1000.0,
        named_metrics: [("foo".into(), 123.0), ("bar".into(), 0.2)].into(),
        ..Default::default()
    }
    .encode_to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn envoys_example_reads_the_same_in_every_format() {
    for value in [
        "TEXT cpu_utilization:0.7,application_utilization:0.8,mem_utilization:0.9,rps_fractional:1000,eps:2,\
         named_metrics.foo:123,named_metrics.bar:0.2",
        "TEXT cpu_utilization=0.7,application_utilization=0.8,mem_utilization=0.9,rps_fractional=1000,eps=2,\
         named_metrics.foo=123,named_metrics.bar=0.2",
        "TEXT cpu=0.7, application_utilization = 0.8, mem=0.9, rps_fractional:1e3, eps=2.0, \
         named_metrics.bar=0.2, named_metrics.foo=123",
        r#"JSON {"cpu_utilization": 0.7, "application_utilization": 0.8, "mem_utilization": 0.9, "rps_fractional": 1000,
            "eps": 2, "named_metrics": {"foo": 123,"bar": 0.2}}"#,
        r#"JSON {"cpuUtilization":0.7,"applicationUtilization":0.8,"memUtilization":"0.9","rpsFractional":1000,
            "rps":"1000","eps":2,"namedMetrics":{"bar":0.2,"foo":123}}"#,
        &format!("BIN {}", base64(&envoys_message())),
        &format!("BIN {}", base64(&envoys_message()).trim_end_matches('=')),
    ] {
        assert_eq!(parse_header(value.as_bytes()), Ok(envoys()), "{value}");
    }
    assert_eq!(
        parse_bin_header(base64(&envoys_message()).as_bytes()),
        Ok(envoys())
    );
    assert_eq!(parse_message(&envoys_message()), Ok(envoys()));
}

#[test]
fn the_documented_binary_example_is_understood() {
    // From the documentation of an inference server that reports to Envoy.
    let value = "CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=";
    let report = parse_bin_header(value.as_bytes()).unwrap();
    assert_eq!((report.cpu, report.requests_per_s), (Some(0.1), Some(2.0)));
    assert_eq!(report.metric("named_metrics.foo"), Some(0.1));
    assert_eq!(report.metric("named_metrics.bar"), Some(0.2));
    assert_eq!(parse_header(format!("BIN {value}").as_bytes()), Ok(report));
}

#[test]
fn what_is_half_understood_is_refused_with_its_reason() {
    for (value, said) in [
        ("", "\"\" is no format"),
        ("BAD random-value", "\"BAD\" is no format"),
        ("cpu_utilization=0.7", "is no format"),
        ("text cpu_utilization=0.7", "\"text\" is no format"),
        ("TEXT ", "write name=value"),
        ("TEXT not-a-list-of-key-value-pairs", "write name=value"),
        ("TEXT cpu_utilization=", "write name=value"),
        ("TEXT =0.7", "write name=value"),
        ("TEXT cpu_utilization=0.7,", "write name=value"),
        (
            "TEXT cpu_utilization=\"0.7\"",
            "cpu_utilization: \"\\\"0.7\\\"\" is no number",
        ),
        (
            "TEXT cpu_utilization=0.7,cpu_utilization=0.8",
            "cpu_utilization is there twice",
        ),
        ("TEXT cpu_utilization=0.7,cpu=0.8", "cpu is there twice"),
        (
            "TEXT named_metrics.a=1,named_metrics.a=1",
            "named_metrics.a is there twice",
        ),
        ("TEXT named_metrics.=123", "\"named_metrics.\" is no metric"),
        (
            "TEXT cpu_utilization=0.7,unsupported_metric=0.8",
            "\"unsupported_metric\" is no metric",
        ),
        ("TEXT cpu_utilization=NaN", "cpu_utilization: NaN is no number"),
        ("TEXT cpu_utilization=inf", "cpu_utilization: inf is no number"),
        (
            "TEXT cpu_utilization=-0.1",
            "cpu_utilization: -1e-1 is out of range",
        ),
        (
            "TEXT cpu_utilization=1e300",
            "cpu_utilization: 1e300 is out of range",
        ),
        (
            "TEXT mem_utilization=1.01",
            "mem_utilization: 1.01e0 is out of range: 0 to 1",
        ),
        (
            "TEXT utilization.disk=1.5",
            "utilization.disk: 1.5e0 is out of range: 0 to 1",
        ),
        ("TEXT named_metrics.a=NaN", "named_metrics.a: NaN is no number"),
        ("TEXT eps=-1", "eps: -1e0 is out of range"),
        ("JSON not-json", "the JSON is no load report"),
        ("JSON [1]", "the JSON is no load report"),
        ("JSON {\"cpu_utilization\":0.1} x", "the JSON is no load report"),
        ("JSON {\"cpu_utilization\":0.1", "the JSON is no load report"),
        ("JSON {\"cpu_utilization\":true}", "the JSON is no load report"),
        (
            "JSON {\"cpu_utilization\":\"much\"}",
            "the JSON is no load report",
        ),
        (
            "JSON {\"cpu_utilization\":0.1,\"cpuUtilization\":0.2}",
            "cpu_utilization is there twice",
        ),
        (
            "JSON {\"named_metrics\":{\"a\":1,\"a\":2}}",
            "named_metrics.a is there twice",
        ),
        (
            "JSON {\"named_metrics\":{\"a\":{}}}",
            "the JSON is no load report",
        ),
        (
            "JSON {\"unknown_field\":[{\"deep\":1}]}",
            "\"unknown_field\" is no metric",
        ),
        (
            "JSON {\"mem_utilization\":7}",
            "mem_utilization: 7e0 is out of range",
        ),
        (
            "JSON {\"cpu_utilization\":\"NaN\"}",
            "cpu_utilization: NaN is no number",
        ),
        ("BIN ", "the report is empty"),
        ("BIN not-a-valid-binary-proto", "no base64"),
        ("BIN CZqZmZmZ", "no OrcaLoadReport"),
    ] {
        let refused = parse_header(value.as_bytes()).expect_err(value).to_string();
        assert!(refused.contains(said), "{value:?}: {refused}");
    }
}

#[test]
fn a_message_with_garbage_is_refused_by_name() {
    for (name, change) in [
        (
            "cpu_utilization",
            (|m| m.cpu_utilization = f64::NAN) as fn(&mut OrcaLoadReport),
        ),
        ("mem_utilization", |m| m.mem_utilization = -1.0),
        ("application_utilization", |m| m.application_utilization = 1e300),
        ("eps", |m| m.eps = f64::INFINITY),
        ("utilization.x", |m| m.utilization = [("x".into(), 2.0)].into()),
        ("named_metrics.x", |m| {
            m.named_metrics = [("x".into(), f64::NAN)].into();
        }),
    ] {
        let mut message = OrcaLoadReport::default();
        change(&mut message);
        let refused = parse_message(&message.encode_to_vec()).unwrap_err();
        assert!(refused.to_string().starts_with(name), "{name}: {refused}");
    }
}

#[test]
fn what_is_too_long_or_too_much_is_refused_before_it_is_kept() {
    let long = format!("TEXT cpu_utilization=0.{}", "1".repeat(VALUE_BYTES_MAX));
    assert!(matches!(
        parse_header(long.as_bytes()),
        Err(OrcaError::TooLong { .. })
    ));
    assert!(matches!(
        parse_message(long.as_bytes()),
        Err(OrcaError::TooLong { .. })
    ));
    let many: Vec<_> = (0..=METRICS_MAX)
        .map(|n| format!("named_metrics.{n}=1"))
        .collect();
    let many = format!("TEXT {}", many.join(","));
    assert_eq!(parse_header(many.as_bytes()), Err(OrcaError::TooMany));
    assert_eq!(parse_header(b"TEXT cpu\xff=1"), Err(OrcaError::NotText));
}

#[test]
fn the_utilisation_is_the_applications_own_then_the_chosen_then_the_named() {
    let queue = [
        "named_metrics.queue".to_owned(),
        "named_metrics.absent".to_owned(),
    ];
    for (text, metrics, utilisation) in [
        (
            "TEXT application_utilization=0.4,utilization.disk=0.9",
            &[][..],
            Some(0.4),
        ),
        (
            "TEXT application_utilization=0.4,named_metrics.queue=0.6",
            &queue,
            Some(0.4),
        ),
        (
            "TEXT application_utilization=0,named_metrics.queue=0.6",
            &queue,
            Some(0.6),
        ),
        (
            "TEXT named_metrics.queue=0.6,utilization.disk=0.9",
            &queue,
            Some(0.6),
        ),
        (
            "TEXT named_metrics.queue=-3,utilization.disk=0.9",
            &queue,
            Some(0.9),
        ),
        ("TEXT utilization.disk=0.2,utilization.net=0.3", &[], Some(0.3)),
        ("TEXT application_utilization=0", &[], Some(0.0)),
        ("TEXT cpu_utilization=0.5,named_metrics.queue=0.6", &[], None),
    ] {
        let load = parse_header(text.as_bytes()).unwrap().own_load(metrics);
        assert_eq!(load.utilisation, utilisation, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_header(&bytes);
        let _ = parse_bin_header(&bytes);
        let _ = parse_message(&bytes);
        for word in ["TEXT ", "JSON ", "BIN "] {
            let _ = parse_header(&[word.as_bytes(), &bytes].concat());
        }
    }

    #[test]
    fn no_text_of_the_right_signs_makes_them_panic(
        rest in "(cpu|mem|eps|utilization\\.|named_metrics\\.)?[-=:,.{}\"a-z0-9eE+ ]{0,80}",
        word in "(TEXT|JSON|BIN) ",
    ) {
        let _ = parse_header(format!("{word}{rest}").as_bytes());
    }

    #[test]
    fn whatever_is_taken_is_finite_and_within_its_range(
        cpu in any::<f64>(), memory in any::<f64>(), utilisation in any::<f64>(), named in any::<f64>(),
    ) {
        let text = format!("TEXT cpu_utilization={cpu},mem_utilization={memory},utilization.u={utilisation},named_metrics.n={named}");
        if let Ok(report) = parse_header(text.as_bytes()) {
            let load = report.own_load(&["named_metrics.n".to_owned()]);
            for value in [load.cpu, load.memory, load.utilisation].into_iter().flatten() {
                prop_assert!((0.0..=1000.0).contains(&value), "{text}");
            }
            prop_assert!(report.memory.is_none_or(|memory| memory <= 1.0));
        }
    }
}
