//! Seasons are found where they are, and only there.

use foreshift_forecast::batch::season::{self, Season};

use crate::common::{column, notice, shared, source};

fn periods(found: &[Season]) -> Vec<usize> {
    found.iter().map(|season| season.period).collect()
}

fn wave(t: usize, period: usize) -> f64 {
    (std::f64::consts::TAU * t as f64 / period as f64).sin()
}

/// A day of `day` steps with a morning and an evening peak.
fn day(t: usize, day: usize) -> f64 {
    let place = (t % day) as f64 / day as f64;
    let peak = |at: f64, width: f64| (-((place - at) / width).powi(2)).exp();
    peak(0.4, 0.08) + 0.8 * peak(0.8, 0.06)
}

#[test]
fn nothing_is_found_where_there_is_no_season() {
    let mut false_finds = Vec::new();
    let mut count = 0;
    for seed in 0..25 {
        for n in [100, 400, 2_000, 8_000] {
            let mut source = source(seed);
            let kinds: [(&str, Vec<f64>); 7] = [
                ("white noise", source.autoregression(n, 0.0)),
                ("AR(0.9)", source.autoregression(n, 0.9)),
                ("AR(0.99)", source.autoregression(n, 0.99)),
                ("AR(-0.7)", source.autoregression(n, -0.7)),
                ("random walk", source.autoregression(n, 1.0)),
                (
                    "line",
                    source
                        .autoregression(n, 0.3)
                        .iter()
                        .enumerate()
                        .map(|(t, y)| 0.05 * t as f64 + y)
                        .collect(),
                ),
                (
                    "curve",
                    source
                        .autoregression(n, 0.3)
                        .iter()
                        .enumerate()
                        .map(|(t, y)| (t as f64 / n as f64 * 3.0).exp() * 5.0 + y)
                        .collect(),
                ),
            ];
            for (kind, values) in kinds {
                count += 1;
                let found = season::detect(&values);
                if !found.is_empty() {
                    false_finds.push(format!("{kind}, {n}: {found:?}"));
                }
            }
        }
    }
    assert!(
        false_finds.len() * 100 <= 2 * count,
        "{} of {count}: {false_finds:?}",
        false_finds.len()
    );
}

#[test]
fn seasons_are_found_with_their_lengths() {
    let week = |t: usize, day: usize| if t / day % 7 >= 5 { 0.3 } else { 1.0 };
    type Shape<'a> = &'a dyn Fn(usize) -> f64;
    let cases: [(&str, usize, f64, Shape<'_>, &[usize]); 14] = [
        ("a sine", 200, 0.1, &|t| wave(t, 12), &[12]),
        ("three repetitions", 72, 0.05, &|t| day(t, 24), &[24]),
        ("sine in noise of its size", 1_000, 0.7, &|t| wave(t, 24), &[24]),
        ("hourly, two peaks a day", 24 * 20, 0.1, &|t| day(t, 24), &[24]),
        (
            "hourly, with weekends",
            24 * 7 * 8,
            0.1,
            &|t| day(t, 24) * week(t, 24),
            &[24, 168],
        ),
        (
            "hourly, day and week added",
            24 * 7 * 6,
            0.2,
            &|t| wave(t, 24) + wave(t, 168),
            &[24, 168],
        ),
        (
            "five minutes, with weekends",
            2016 * 5,
            0.1,
            &|t| day(t, 288) * week(t, 288),
            &[288, 2016],
        ),
        ("minutes", 1440 * 10, 0.2, &|t| day(t, 1440), &[1440]),
        (
            "minutes, on a rising line",
            1440 * 10,
            0.2,
            &|t| day(t, 1440) + t as f64 / 1440.0,
            &[1440],
        ),
        (
            "a job of a minute each hour",
            60 * 30,
            0.1,
            &|t| if t % 60 == 7 { 4.0 } else { 0.0 },
            &[60],
        ),
        (
            "growing with time",
            24 * 30,
            0.1,
            &|t| day(t, 24) * (1.0 + t as f64 / 300.0),
            &[24],
        ),
        (
            "a square of 3",
            90,
            0.05,
            &|t| f64::from(u8::from(t % 3 == 0)),
            &[3],
        ),
        (
            "every second",
            100,
            0.1,
            &|t| f64::from(u8::from(t % 2 == 0)),
            &[2],
        ),
        ("a prime", 700, 0.2, &|t| day(t, 61), &[61]),
    ];
    for (name, n, noise, shape, expected) in cases {
        for seed in 0..5 {
            let mut source = source(seed);
            let values: Vec<f64> = (0..n)
                .map(|t| 10.0 + shape(t) + noise * source.normal())
                .collect();
            let found = season::detect(&values);
            assert_eq!(periods(&found), expected, "{name}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn a_season_on_a_walk_is_found() {
    for seed in 0..5 {
        let mut source = source(seed);
        let walk = source.autoregression(2_000, 1.0);
        let values: Vec<f64> = walk
            .iter()
            .enumerate()
            .map(|(t, y)| y + 6.0 * day(t, 48))
            .collect();
        assert_eq!(periods(&season::detect(&values)), [48], "{seed}");
    }
}

#[test]
fn any_input_has_an_answer_and_a_million_values_are_quick() {
    for values in [
        vec![],
        vec![1.0],
        vec![f64::NAN; 9],
        vec![7.0; 1_000],
        vec![1e100, -1e100, f64::INFINITY, 0.0],
        vec![1e-300; 50],
    ] {
        assert_eq!(season::detect(&values), [], "{values:?}");
    }
    let mut source = source(1);
    let values: Vec<f64> = (0..1_000_000)
        .map(|t| 1e-200 * (day(t, 1440) + 0.2 * source.normal()))
        .collect();
    assert_eq!(periods(&season::detect(&values)), [1440]);
}

#[test]
fn real_traces_have_the_seasons_of_people() {
    // File, column, and the first seasons in steps: hours, days, weeks.
    for (file, name, expected) in [
        ("worldcup98/requests_per_minute.csv", "count", &[1440][..]),
        ("nab/realKnownCause__nyc_taxi.csv", "value", &[48, 336]),
        ("nab/realTweets__Twitter_volume_AMZN.csv", "value", &[288]),
        ("nab/realTweets__Twitter_volume_GOOG.csv", "value", &[288]),
        (
            "nab/realKnownCause__cpu_utilization_asg_misconfiguration.csv",
            "value",
            &[12],
        ),
        ("azure_llm_2023/arrivals_1s_conv.csv", "requests", &[]),
        ("azure_llm_2023/arrivals_1s_code.csv", "requests", &[]),
        (
            "nab/realAWSCloudwatch__ec2_cpu_utilization_24ae8d.csv",
            "value",
            &[],
        ),
        (
            "nab/realAWSCloudwatch__ec2_cpu_utilization_ac20cd.csv",
            "value",
            &[],
        ),
        ("nab/realAWSCloudwatch__grok_asg_anomaly.csv", "value", &[]),
    ] {
        let Some(text) = shared(&format!("data/{file}")) else {
            return;
        };
        let values = column(&text, name);
        let found = season::detect(&values);
        notice(&format!("{file}, {} values: {found:?}", values.len()));
        let begins = periods(&found).starts_with(expected);
        assert!(
            begins && expected.is_empty() == found.is_empty(),
            "{file}: {found:?}"
        );
    }
}
