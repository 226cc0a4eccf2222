//! The choice between models, and the back-test that drives it.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use foreshift_forecast::{
    Forecaster, Lagged, PredictorOptions,
    backtest::{self, Online, Stepwise},
    selector::{Selector, SelectorOptions},
    series::Series,
};

use crate::input::{check, check_path, count, quantiles, steps, values};

pub(crate) fn selector(u: &mut Unstructured<'_>) -> Result<()> {
    let (options, quantiles) = options(u)?;
    let horizon = options.horizon;
    let Ok(mut selector) = Selector::new(options) else {
        return Ok(());
    };
    if u.ratio(1, 8)? {
        let own: Box<dyn Forecaster> = Box::new(Lagged::new("own", [1, 2, 7], 0, 0.99, 0.01));
        selector.add_model(own);
    }
    // An answer to a refit may come late.
    let late = u.int_in_range(0..=20)?;
    let (mut refit, mut since, mut seen) = (None, 0, 0);
    for y in steps(u)? {
        selector.observe(y);
        seen += usize::from(y.is_some_and(|y| y.abs() <= 1e100));
        refit = refit.or_else(|| selector.refit_due());
        since += 1;
        if since > late
            && let Some(refit) = refit.take()
        {
            selector.accept(refit.run());
            since = 0;
        }
        let prediction = selector.predict();
        assert_eq!(prediction.is_some(), seen >= 4, "{selector:?}");
        if let Some(prediction) = prediction {
            check("selector", &prediction, horizon, &quantiles);
        }
    }
    selector.refit();
    check_choice(&selector);
    Ok(())
}

fn options(u: &mut Unstructured<'_>) -> Result<(SelectorOptions, Vec<f64>)> {
    let names = SelectorOptions::MODELS;
    let model = if u.arbitrary()? { "auto" } else { u.choose(names)? };
    let quantiles = match quantiles(u)? {
        none if none.is_empty() => vec![0.5, 0.9],
        // Closer ones are one to a selector.
        some => some
            .into_iter()
            .filter(|q| (1e-6..1.0 - 1e-6).contains(q))
            .collect(),
    };
    let periods = u.int_in_range(0..=2)?;
    let options = SelectorOptions {
        horizon: u.int_in_range(1..=40)?,
        quantiles: quantiles.clone(),
        model: model.into(),
        periods: (0..periods).map(|_| count(u)).collect::<Result<_>>()?,
        low: u.arbitrary()?,
        high: u.arbitrary()?,
        selection_quantile: u.int_in_range(1..=99)? as f64 / 100.0,
        fit_steps: 50 + count(u)? % 400,
    };
    Ok((options, quantiles))
}

fn check_choice(selector: &Selector) {
    let choice = selector.choice();
    assert!(!choice.reason.is_empty() && !choice.model.is_empty());
    for standing in &choice.models {
        check_path(&standing.name, &[standing.weight, standing.loss.unwrap_or(0.0)]);
    }
}

pub(crate) fn backtest(u: &mut Unstructured<'_>) -> Result<()> {
    let horizon = u.int_in_range(1..=30)?;
    let options = backtest::Options {
        quantiles: vec![0.05, 0.5, 0.9],
        threshold: u.arbitrary()?,
        warm_up: if u.arbitrary()? { Some(count(u)?) } else { None },
        periods: vec![count(u)?, 7],
        ..backtest::Options::new(horizon)
    };
    let mut forecaster: Box<dyn Stepwise> = if u.arbitrary()? {
        let options = PredictorOptions {
            step: Duration::from_secs(1),
            horizon: Duration::from_secs(horizon as u64),
            quantiles: options.quantiles.clone(),
            ..PredictorOptions::default()
        };
        Box::new(Online::new(options).expect("the options are in range"))
    } else {
        let options = SelectorOptions {
            horizon,
            quantiles: options.quantiles.clone(),
            model: "online".into(),
            ..SelectorOptions::default()
        };
        Box::new(Selector::new(options).expect("the options are in range"))
    };
    let Ok(series) = Series::new(0, Duration::from_secs(1), values(u)?) else {
        return Ok(());
    };
    if let Ok(report) = backtest::run(&series, &mut *forecaster, &options, |_| {}) {
        assert!(!report.verdict.reasons.is_empty());
        for scores in [&report.forecast, &report.persistence] {
            assert!(scores.overall.mae.is_finite(), "{report:?}");
            assert!(
                scores
                    .overall
                    .band_coverage
                    .is_none_or(|share| (0.0..=1.0).contains(&share))
            );
        }
    }
    Ok(())
}
