//! Files that somebody brings: any bytes, or a good file with some of its bytes changed, which gets further.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use foreshift_forecast::{
    Fit,
    learned::{InTurn, Lstm, Onnx, OnnxOptions, Scaling, TrainOptions, TrainSeries},
};

use crate::{batch::fit, input::values, online::drive};

const GOOD: [&[u8]; 6] = [
    include_bytes!("../../tests/fixtures/onnx/mlp.onnx"),
    include_bytes!("../../tests/fixtures/onnx/mlp_any_batch.onnx"),
    include_bytes!("../../tests/fixtures/onnx/lstm.onnx"),
    include_bytes!("../../tests/fixtures/onnx/gru.onnx"),
    include_bytes!("../../tests/fixtures/onnx/lstm_features.onnx"),
    include_bytes!("../../tests/fixtures/onnx/gru_quantiles.onnx"),
];

/// Smallest that there is: what matters here is how it is read.
static TRAINED: LazyLock<Lstm> = LazyLock::new(|| {
    let options = TrainOptions {
        window: 4,
        horizon: 2,
        hidden: 2,
        periods: vec![5],
        epochs: 1,
        windows_per_epoch: 64,
        ..TrainOptions::default()
    };
    let series: Vec<f64> = (0..200_u32).map(|t| f64::from(t * 7 % 5 + t % 3)).collect();
    Lstm::train(&[TrainSeries::from(series.as_slice())], &options, &InTurn, |_| {})
        .expect("the series is long enough")
});

/// One case for one loader; what loads is asked.
pub fn files(bytes: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(bytes);
    let is_raw = u.ratio(1, 4)?;
    if u.ratio(1, 3)? {
        let bytes = if is_raw {
            rest(&mut u)?
        } else {
            damaged(&TRAINED.to_bytes(), &mut u)?
        };
        lstm(&bytes, &mut u)
    } else {
        let good = *u.choose(&GOOD)?;
        let options = OnnxOptions {
            scaling: if u.arbitrary()? {
                Scaling::None
            } else {
                Scaling::Window
            },
            signals: if u.ratio(1, 3)? { vec![1, 0] } else { Vec::new() },
            window: u.arbitrary::<Option<u8>>()?.map(usize::from),
            horizon: u.int_in_range(0..=4)?,
            ..OnnxOptions::default()
        };
        let bytes = if is_raw {
            rest(&mut u)?
        } else {
            damaged(good, &mut u)?
        };
        onnx(&bytes, options, &mut u)
    }
}

/// Half of what is left, so that there is a series as well.
fn rest(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let half = u.len() / 2;
    Ok(u.bytes(half)?.to_vec())
}

/// Some bytes changed, put in or taken out.
fn damaged(good: &[u8], u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = good.to_vec();
    for _ in 0..u.int_in_range(1..=8)? {
        let at = u.choose_index(bytes.len())?;
        match u.int_in_range(0..=7)? {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, u.arbitrary()?),
            2 => bytes.truncate(at.max(1)),
            3 => {
                let end = (at + u.int_in_range(1..=16)?).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes[at] = u.arbitrary()?,
        }
    }
    Ok(bytes)
}

fn lstm(bytes: &[u8], u: &mut Unstructured<'_>) -> Result<()> {
    let Ok(model) = Lstm::from_bytes(bytes) else {
        return Ok(());
    };
    let again = Lstm::from_bytes(&model.to_bytes()).expect("what was read can be written and read");
    assert_eq!(again.to_bytes(), model.to_bytes());
    ask(&model, u)?;
    drive(Box::new(model.forecaster(&[0, 3])), u)
}

fn onnx(bytes: &[u8], options: OnnxOptions, u: &mut Unstructured<'_>) -> Result<()> {
    let Ok(model) = Onnx::from_bytes(bytes, options) else {
        return Ok(());
    };
    ask(&model, u)?;
    drive(Box::new(model.forecaster()), u)
}

fn ask(model: &dyn Fit, u: &mut Unstructured<'_>) -> Result<()> {
    let train = values(u)?;
    fit(model, &train, u)
}
