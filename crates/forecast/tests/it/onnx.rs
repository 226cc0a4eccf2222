//! Models of somebody else's: what runs answers as onnxruntime does; what is wrong is refused by name, or dropped.
//!
//! The models and the golden answers are made by `fixtures/onnx/make.py`.

use foreshift_forecast::{
    Fit, Forecaster,
    learned::{Onnx, OnnxError, OnnxOptions, Scaling},
};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("../fixtures/onnx/golden.csv");
const WINDOW: usize = 8;

macro_rules! model {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../fixtures/onnx/", $name, ".onnx")).as_slice(),
        )
    };
}

/// Those that keep the contract.
const GOOD: [(&str, &[u8]); 6] = [
    model!("mlp"),
    model!("mlp_any_batch"),
    model!("lstm"),
    model!("gru"),
    model!("lstm_features"),
    model!("gru_quantiles"),
];

fn options(name: &str) -> OnnxOptions {
    OnnxOptions {
        scaling: Scaling::None,
        signals: if name == "lstm_features" {
            vec![1, 0]
        } else {
            vec![]
        },
        horizon: 3,
        ..OnnxOptions::default()
    }
}

fn good(name: &str) -> Onnx {
    let bytes = GOOD.iter().find(|(other, _)| *other == name).unwrap().1;
    Onnx::from_bytes(bytes, options(name)).unwrap()
}

/// The same windows as in `make.py`.
fn window(name: &str) -> Vec<f64> {
    let value = |i: usize| match name {
        "ramp" => -1.0 + 2.0 * i as f64 / (WINDOW - 1) as f64,
        "wave" => (i as f64 * 0.9).sin(),
        _ if i < 4 => -2.0,
        _ => 3.0,
    };
    (0..WINDOW).map(value).collect()
}

#[test]
fn answers_are_those_of_onnxruntime() {
    let mut compared = 0;
    for line in GOLDEN.lines().skip(1) {
        let [model, shape, answers] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let mut golden: Vec<f64> = answers.split(' ').map(|y| y.parse().unwrap()).collect();
        if model == "gru_quantiles" {
            // The middle of the three quantiles, once they are in order.
            let sorted = golden.chunks_mut(3).map(|step| {
                step.sort_by(f64::total_cmp);
                step[1]
            });
            golden = sorted.collect();
        }
        let mut forecaster = good(model).forecaster();
        for y in window(shape) {
            forecaster.update_with(Some(y), &[Some(0.5 - y), Some(2.0 * y)]);
        }
        let mut path = [0.0; 3];
        forecaster.forecast(&mut path);
        for (found, golden) in path.iter().zip(&golden) {
            assert!((found - golden).abs() < 2e-6, "{line}: {path:?}");
        }
        compared += 1;
    }
    assert_eq!(compared, 18);
}

#[test]
fn a_model_that_breaks_the_contract_is_refused_by_what_was_expected_and_found() {
    let quantiles = OnnxOptions {
        quantiles: vec![0.1, 0.9],
        ..options("gru_quantiles")
    };
    let short = OnnxOptions {
        horizon: 20,
        ..options("mlp")
    };
    let named = OnnxOptions {
        window: Some(30),
        ..options("mlp")
    };
    let unordered = OnnxOptions {
        quantiles: vec![0.9, 0.1],
        ..options("mlp")
    };
    let unscaled = OnnxOptions::default();
    // The length of a tensor; it leads two bytes into the next one.
    let mut damaged = model!("gru").1.to_vec();
    damaged[218] ^= 2;
    for ((name, bytes), options, part) in [
        (
            model!("not_a_number"),
            unscaled.clone(),
            "answer for step 0 is -inf",
        ),
        (model!("overflows"), unscaled, "answer for step"),
        (model!("two_inputs"), options(""), "2 inputs and 1 outputs"),
        (model!("two_outputs"), options(""), "1 inputs and 2 outputs"),
        (model!("of_integers"), options(""), "expected 32-bit floats"),
        (
            model!("of_one_dimension"),
            options(""),
            "shape [8]; expected [1, window]",
        ),
        (
            model!("of_a_batch"),
            options(""),
            "shape [4, 8]; expected [1, window]",
        ),
        (
            model!("any_window"),
            options(""),
            "expected a fixed window, or one that the options name",
        ),
        (model!("trees"), options(""), "no ONNX model that can be run"),
        (model!("mlp"), short, "shape [1, 3]; expected [1, horizon]"),
        (model!("mlp"), named, "shape [1, 8]; expected a window of 30"),
        (model!("mlp"), unordered, "do not rise"),
        (
            model!("lstm_features"),
            options("mlp"),
            "shape [1, 8, 3]; expected [1, window] or [1, window, 1]",
        ),
        (model!("gru_quantiles"), quantiles, "shape [1, 3, 3]; expected"),
        (
            model!("circle"),
            options(""),
            "Add takes \"b\", which nothing before it makes",
        ),
        (
            model!("twice"),
            options(""),
            "Gemm makes \"w\", which is there already",
        ),
        (model!("branches"), options(""), "If is control flow"),
        (
            ("gru with a wrong length", &damaged),
            options(""),
            "cut short or damaged",
        ),
        (("empty", &[]), options(""), "no ONNX model"),
        (("text", b"{\"a\": 1}"), options(""), "no ONNX model"),
    ] {
        let error = Onnx::from_bytes(bytes, options).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn a_window_that_the_file_leaves_open_is_the_options() {
    let (_, bytes) = model!("any_window");
    let options = OnnxOptions {
        window: Some(5),
        scaling: Scaling::None,
        ..OnnxOptions::default()
    };
    let model = Onnx::from_bytes(bytes, options).unwrap();
    assert_eq!((model.window(), model.features(), model.horizon()), (5, 1, 1));
    let ahead = model
        .fit(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        .unwrap()
        .predict(3, &[0.1, 0.9]);
    assert_eq!(ahead.point(), [3.0; 3]);
}

#[test]
fn a_model_that_goes_wrong_while_it_runs_is_dropped_for_good_and_says_why() {
    // It divides by the distance to 37.5, which no trial happens to hold.
    let mut forecaster = Onnx::from_bytes(model!("hidden_pole").1, options(""))
        .unwrap()
        .forecaster();
    (0..20).for_each(|t| forecaster.update(Some(f64::from(t))));
    assert!(forecaster.is_ready());
    assert_eq!(forecaster.fault(), None);
    for _ in 0..8 {
        forecaster.update(Some(37.5));
    }
    assert!(!forecaster.is_ready());
    let fault = forecaster.fault().unwrap().to_owned();
    assert!(fault.contains("is inf, which is not a number"), "{fault}");
    forecaster.reset();
    (0..20).for_each(|t| forecaster.update(Some(f64::from(t))));
    assert!(!forecaster.is_ready());
    assert_eq!(forecaster.fault(), Some(fault.as_str()));
}

#[test]
fn a_model_that_the_caller_finds_too_slow_is_dropped() {
    let mut forecaster = good("mlp").forecaster();
    window("wave").iter().for_each(|&y| forecaster.update(Some(y)));
    assert!(forecaster.is_ready());
    forecaster.drop_for("it took 80 ms, 5 ms are allowed");
    assert!(!forecaster.is_ready());
    assert_eq!(forecaster.fault(), Some("it took 80 ms, 5 ms are allowed"));
}

#[test]
fn a_window_in_another_unit_is_answered_in_that_unit() {
    let options = OnnxOptions {
        scaling: Scaling::Window,
        ..options("gru")
    };
    let model = Onnx::from_bytes(model!("gru").1, options).unwrap();
    let plain = model.fit(&window("wave")).unwrap().predict(3, &[]);
    for unit in [1e-200, 1e-3, 1e6, 1e90] {
        let moved: Vec<f64> = window("wave").iter().map(|y| unit * (y + 40.0)).collect();
        let moved = model.fit(&moved).unwrap().predict(3, &[]);
        for (a, b) in plain.point().iter().zip(moved.point()) {
            assert!((unit * (a + 40.0) - b).abs() < 1e-5 * unit, "{unit}: {a} {b}");
        }
    }
}

#[test]
fn quantiles_that_a_model_answers_are_in_order_and_are_its_own() {
    let ahead = good("gru_quantiles")
        .fit(&window("step"))
        .unwrap()
        .predict(5, &[0.05, 0.1, 0.3, 0.5, 0.9]);
    let path = |q: f64| ahead.quantile(q).unwrap();
    assert_eq!(path(0.05), path(0.1));
    assert_eq!(path(0.5), ahead.point());
    // The first step's answers in order: -0.3723, -0.3138, -0.0992.
    assert!(
        (path(0.3)[0] - (-0.3723 - 0.3138) / 2.0).abs() < 1e-4,
        "{:?}",
        path(0.3)
    );
    assert_eq!(path(0.9)[2], path(0.9)[4]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_are_refused_or_run_and_never_panic(
        which in 0_usize..6, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let (name, bytes) = GOOD[which];
        let mut bytes = bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let model = Onnx::from_bytes(&bytes, options(name));
        if let Ok(model) = model {
            let mut forecaster = model.forecaster();
            (0..20).for_each(|t| forecaster.update(Some(f64::from(t))));
            let mut path = [0.0; 4];
            forecaster.forecast(&mut path);
            prop_assert!(path.iter().all(|y| y.is_finite()));
        }
    }

    #[test]
    fn any_series_is_answered_finitely_or_not_at_all(
        values in prop::collection::vec(prop_oneof![
            -1e100..1e100_f64, -1e-290..1e-290_f64, 0.0..100.0_f64, Just(5.0),
        ], 8..30),
    ) {
        for name in ["lstm", "gru_quantiles"] {
            for scaling in [Scaling::None, Scaling::Window] {
                let options = OnnxOptions { scaling, ..options(name) };
                let model = Onnx::from_bytes(GOOD.iter().find(|(n, _)| *n == name).unwrap().1, options).unwrap();
                let ahead = model.fit(&values).unwrap().predict(6, &[0.2, 0.8]);
                prop_assert_eq!(ahead.point().len(), 6);
            }
        }
    }
}

#[test]
fn an_error_names_the_trial_that_failed() {
    let error = Onnx::from_bytes(model!("not_a_number").1, options("")).unwrap_err();
    assert!(matches!(error, OnnxError::Trial { .. }), "{error}");
}
