//! `backtest` and `forecast FILE` as users start them: what is printed, what is drawn, and which exit code what has.

use std::{fs, path::PathBuf};

use serde_json::Value;

#[path = "common/command.rs"]
mod command;

use command::{run, text};

/// A day and a half of minutes with a surge of four minutes every half hour.
fn surges() -> String {
    let mut csv = String::from("timestamp,value\n");
    for t in 0..2_000 {
        let load = if t % 30 < 4 { 90.0 } else { 30.0 + f64::from(t % 3) };
        csv.push_str(&format!("{},{load}\n", 1_700_000_040 + t * 60));
    }
    csv
}

#[test]
fn surges_that_repeat_are_said_to_be_foreseen() {
    let output = run(
        &["backtest", "-", "--horizon", "5min", "--threshold", "80"],
        &surges(),
    );
    let (shown, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{error}");
    for part in [
        "2000 steps of 1 min, 2023-11-14 22:14",
        "step 1 min, guessed",
        "PERSISTENCE",
        "load 90 % above",
        "0.9 path above",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(
        shown.starts_with("Prediction helps here: "),
        "the answer first: {shown}"
    );
    assert!(
        !shown.contains('\u{1b}'),
        "no colours where there is no terminal: {shown}"
    );
    assert_is_one_screen(shown);
    assert_eq!(error, "", "progress is for terminals");
}

/// 24 lines of 100 columns.
fn assert_is_one_screen(shown: &str) {
    let lines = shown.lines().count();
    let widest = shown.lines().map(|line| line.chars().count()).max();
    assert!(
        lines <= 24 && widest <= Some(100),
        "{lines} lines, {widest:?} wide: {shown}"
    );
}

#[test]
fn json_tells_every_horizon_and_alarm() {
    let output = run(
        &["backtest", "-", "--horizon", "5", "--threshold", "80", "--json"],
        &surges(),
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["forecast"]["by_horizon"].as_array().unwrap().len(), 5);
    assert_eq!(report["series"]["step_ms"], 60_000);
    assert_eq!(report["verdict"]["answer"], "helps");
    // Neither clock nor calendar: the surges come every half hour.
    assert_eq!(report["seasonal_naive"]["period_steps"], 30);
    let alarms = report["early_warning"]["alarms"].as_array().unwrap();
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm["kind"] == "predicted" && alarm["at"] == 0.9)
    );
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm["kind"] == "present" && alarm["at"] == 1.0)
    );
}

#[test]
fn the_picture_is_drawn_as_svg_and_png() {
    let folder = tempfile::tempdir().unwrap();
    for (name, begins) in [("plot.svg", &b"<svg"[..]), ("plot.png", b"\x89PNG")] {
        let file = folder.path().join(name);
        let file = file.to_str().unwrap();
        let output = run(
            &[
                "backtest",
                "-",
                "--horizon",
                "8",
                "--threshold",
                "80",
                "--plot",
                file,
            ],
            &surges(),
        );
        assert!(output.status.success(), "{}", text(&output.stderr));
        let bytes = fs::read(file).unwrap();
        assert!(bytes.starts_with(begins), "{name}");
        assert!(
            (2_000..2_000_000).contains(&bytes.len()),
            "{name}: {} bytes",
            bytes.len()
        );
    }
    let svg = fs::read_to_string(folder.path().join("plot.svg")).unwrap();
    for label in ["forecast 8 min before", "threshold", "11-15 "] {
        assert!(svg.contains(label), "{label}");
    }
}

#[test]
fn one_series_is_forecast_with_its_model_and_reason() {
    let output = run(&["forecast", "-", "--horizon", "8min"], &surges());
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in [
        "Model: ",
        "of late",
        "POINT",
        "Q 0.9",
        "TIME (UTC)",
        "2023-11-16 07:34:00",
        "8 min",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let output = run(&["forecast", "-", "--horizon", "8min", "--json"], &surges());
    let forecast: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(forecast["point"].as_array().unwrap().len(), 8);
    assert_eq!(forecast["start_ms"], 1_700_120_040_000_i64);
    assert!(forecast["reason"].is_string());
}

#[test]
fn what_was_taken_without_being_asked_for_is_noted() {
    let mut hosts = String::from("time,total\n");
    for t in 0..400 {
        hosts.push_str(&format!("{},{}\n{},{}\n", t * 60, 7 * t, t * 60, 9 * t));
    }
    let rate = &["--rate", "--aggregate", "sum"][..];
    for (arguments, noted) in [
        (&[][..], "Note: 400 times occur more than once"),
        (&[][..], "never fall: if this is a counter"),
        (
            &[][..],
            "no --horizon was given: 20 steps ahead were taken, 20 min",
        ),
        (&["--horizon", "90s"], "90 s was rounded up to 2 steps, 2 min"),
        (&["--rate"], "how much the counter rose in each step of 1 min"),
        (rate, "cannot be used with"),
    ] {
        let output = run(&[&["forecast", "-"], arguments].concat(), &hosts);
        let shown = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(shown.contains(noted), "{noted}: {shown}");
    }
}

#[test]
fn what_is_asked_wrongly_exits_with_2_and_what_goes_wrong_with_1() {
    let wide = "time,a,b\n2024-01-01,1,2\n2024-01-02,3,4\n";
    for (arguments, input, code, reason) in [
        (&["backtest"][..], "", 2, "name a CSV file"),
        (&["backtest", "-"], wide, 2, "choose one with --column: a, b"),
        (&["backtest", "-", "--column", "c"], wide, 2, "no column \"c\""),
        (
            &["backtest", "-", "--horizon", "soon"],
            "",
            2,
            "no length of time",
        ),
        (
            &["backtest", "-", "--horizon", "0", "--column", "a"],
            wide,
            2,
            "1 to 2016",
        ),
        (&["backtest", "-", "--plot", "a.jpg"], "", 2, ".svg or .png"),
        (&["backtest", "-", "--zone", "Mars"], "t,v\n1,2\n", 2, "--zone"),
        (&["backtest", "-", "--model", "oracle"], &surges(), 2, "oracle"),
        (
            &["backtest", "-", "--threshold", "inf"],
            &surges(),
            2,
            "never be crossed",
        ),
        (
            &["backtest", "x.csv", "--prometheus", "http://x"],
            "",
            2,
            "cannot be used",
        ),
        (&["backtest", "--query", "up"], "", 2, "--prometheus"),
        (&["forecast", "-", "--pool", "app"], "", 2, "running Foreshift"),
        (&["backtest", "-"], "", 1, "standard input: is empty"),
        (&["backtest", "-", "--column", "a"], wide, 1, "2 steps"),
        (&["backtest", "/nowhere.csv"], "", 1, "/nowhere.csv"),
        (&["backtest", "/"], "", 1, "folder"),
        (&["backtest", "-"], "t,v\n1,many\n", 1, "line 2"),
        (
            &["backtest", "-"],
            "t,v\n1,1e300\n2,1\n3,1\n4,1\n5,1\n6,1\n",
            1,
            "1e100",
        ),
    ] {
        let output = run(arguments, input);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert!(
            output.stdout.is_empty(),
            "{arguments:?}: {}",
            text(&output.stdout)
        );
    }
}

#[test]
fn a_network_is_trained_on_every_column_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output): (PathBuf, PathBuf) = (
        folder.path().join("in.csv"),
        folder.path().join("net.safetensors"),
    );
    let mut csv = String::from("time,name,a,b\n");
    for t in 0..400 {
        let wave = 50.0 + 30.0 * (f64::from(t) * 0.3).sin();
        csv.push_str(&format!("{},x,{wave},{}\n", t * 60, 100.0 - wave));
    }
    fs::write(&input, csv).unwrap();
    let arguments = [
        "forecast",
        "train",
        input.to_str().unwrap(),
        "--out",
        output.to_str().unwrap(),
    ];
    let small = [
        "--window",
        "12min",
        "--horizon",
        "3",
        "--hidden",
        "4",
        "--epochs",
        "2",
    ];
    let done = run(&[&arguments[..], &small[..]].concat(), "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let shown = text(&done.stdout);
    assert!(
        shown.contains("trained on 2 series") && shown.contains("persistence"),
        "{shown}"
    );
    assert!(fs::metadata(&output).unwrap().len() > 500);
    let refused = run(&[&arguments[..], &["--hidden", "0"][..]].concat(), "");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn a_real_trace_is_back_tested_in_one_screen_where_it_is_there() {
    let trace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/nab/realAWSCloudwatch__elb_request_count_8c0756.csv");
    if !trace.exists() {
        println!("skipped: {} is not there", trace.display());
        return;
    }
    let output = run(
        &[
            "backtest",
            trace.to_str().unwrap(),
            "--horizon",
            "1h",
            "--threshold",
            "200",
        ],
        "",
    );
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        shown.contains("4040 steps of 5 min") && shown.contains("BEFORE"),
        "{shown}"
    );
    assert!(shown.contains("Prediction "), "{shown}");
}
