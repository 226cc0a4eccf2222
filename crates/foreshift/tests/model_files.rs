//! `--model FILE`: a model that was trained elsewhere is weighed beside all others, or refused by its name.

use std::{fs, path::Path};

use serde_json::Value;

#[path = "common/command.rs"]
mod command;

use command::{run, text};

const ONNX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../forecast/tests/fixtures/onnx/");

/// Minutes whose load jumps about, in an order that repeats every 64.
fn jumps(count: u32) -> String {
    let mut csv = String::from("timestamp,value\n");
    let mut state = 1_u32;
    for t in 0..count {
        state = (state * 5 + 3) % 64;
        csv.push_str(&format!("{},{}\n", 1_700_000_040 + t * 60, 10 + state));
    }
    csv
}

/// A small network, trained on those.
fn network(folder: &Path) -> String {
    let (input, out) = (folder.join("in.csv"), folder.join("net.safetensors"));
    fs::write(&input, jumps(400)).unwrap();
    let (input, out) = (input.to_str().unwrap(), out.to_str().unwrap());
    let train = ["forecast", "train", input, "--out", out, "--window", "12"];
    let small = ["--horizon", "3", "--hidden", "4", "--epochs", "2"];
    let done = run(&[&train[..], &small[..]].concat(), "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    out.to_owned()
}

#[test]
fn a_model_from_a_file_is_weighed_beside_the_others_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let net = network(folder.path());
    for (file, kind, horizon) in [(net, "lstm", 3), (format!("{ONNX}mlp.onnx"), "onnx", 0)] {
        let name = Path::new(&file).file_name().unwrap().to_str().unwrap();
        let told = format!("{kind} of {name}: weight ");
        let output = run(&["backtest", "-", "--model", &file], &jumps(600));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        assert!(shown.contains(&told), "{shown}");
        let output = run(&["backtest", "-", "--model", &file, "--json"], &jumps(600));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let fared = &report["model_file"];
        assert_eq!(fared["model"], kind);
        assert!(
            (0.0..=1.0).contains(&fared["weight_mean"].as_f64().unwrap()),
            "{fared}"
        );
        for error in ["error", "error_of_persistence"] {
            assert!(fared[error].as_f64().unwrap() > 0.0, "{fared}");
        }
        assert!(fared["fault"].is_null(), "{fared}");
        // Where none is asked for, its own horizon is taken.
        assert!(horizon == 0 || report["horizon_steps"] == horizon, "{report}");
        let output = run(&["forecast", "-", "--model", &file], &jumps(600));
        let shown = text(&output.stdout);
        assert!(shown.contains(&told), "{shown}");
    }
}

#[test]
fn a_model_that_fails_on_the_way_is_dropped_and_said_to_be() {
    // It divides by the distance from 37.5.
    let file = format!("{ONNX}hidden_pole.onnx");
    let series = jumps(600) + "1700036040,37.5\n" + &jumps(700)[jumps(601).len()..];
    let arguments = ["backtest", "-", "--model", &file, "--scaling", "none"];
    let output = run(&[&arguments[..], &["--json"]].concat(), &series);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fared = &report["model_file"];
    assert_eq!(fared["weight_last"], 0.0, "{fared}");
    assert!(
        fared["fault"].as_str().unwrap().contains("not a number"),
        "{fared}"
    );
    let output = run(&arguments, &series);
    let shown = text(&output.stdout);
    assert!(shown.contains("was dropped: "), "{shown}");
}

#[test]
fn a_model_that_cannot_be_used_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let net = network(folder.path());
    let text_file = folder.path().join("text.onnx");
    fs::write(&text_file, "no model").unwrap();
    let text_file = text_file.to_str().unwrap();
    let of_other_steps = jumps(600).replace("0,", "000,");
    for (file, horizon, input, code, reason) in [
        (
            net.as_str(),
            "4",
            jumps(600),
            2,
            "tells 3 steps ahead, 4 are asked for",
        ),
        (
            net.as_str(),
            "3",
            of_other_steps,
            2,
            "trained for steps of 60000 ms",
        ),
        (text_file, "3", jumps(600), 1, "no ONNX model"),
        ("/nowhere.safetensors", "3", jumps(600), 1, "cannot read"),
    ] {
        for command in ["backtest", "forecast"] {
            let output = run(&[command, "-", "--model", file, "--horizon", horizon], &input);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{file}: {error}");
            assert!(error.contains(file) && error.contains(reason), "{file}: {error}");
            assert!(output.stdout.is_empty(), "{file}");
        }
    }
    let unknown = run(&["backtest", "-", "--model", "net.pt"], &jumps(600));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown.stderr).contains(".safetensors"),
        "{}",
        text(&unknown.stderr)
    );
}
