//! Models that learn as values come, one at a time and joined in the predictor.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use foreshift_forecast::{
    Autoregression, CapacityValues, Forecaster, Holt, Lagged, LastSeason, LastValue, Multivariate,
    PERIOD_STEPS_MAX, Predictor, PredictorOptions, Seasonal, SignalValues, load_score,
};

use crate::input::{check_path, count, steps};

pub(crate) fn models(u: &mut Unstructured<'_>) -> Result<()> {
    let model: Box<dyn Forecaster> = match u.int_in_range(0..=11)? {
        0 => Box::new(LastValue::default()),
        1 => Box::new(Holt::slow()),
        2 => Box::new(Holt::fast()),
        3 => Box::new(Holt::new("holt", u.arbitrary()?, u.arbitrary()?, u.arbitrary()?)),
        4 => Box::new(Autoregression::of_order_4()),
        5 => Box::new(Autoregression::of_order_8()),
        6 => Box::new(Autoregression::<16>::new("ar", u.arbitrary()?, u.arbitrary()?)),
        7 => Box::new(Seasonal::new()),
        8 => Box::new(Seasonal::with_period(count(u)? % 100_000)),
        9 => Box::new(LastSeason::new(count(u)?)),
        10 => {
            let mut lag = || Ok(count(u)? % 10_000);
            let (lags, difference) = ([lag()?, lag()?, lag()?], lag()?);
            Box::new(Lagged::<3>::new(
                "lagged",
                lags,
                difference,
                u.arbitrary()?,
                u.arbitrary()?,
            ))
        }
        _ => Box::new(Multivariate::new(count(u)? % 10_000, &[0, 3, count(u)?])),
    };
    drive(model, u)
}

/// Shows a series and signals beside it, and asks after each step.
pub(crate) fn drive(mut model: Box<dyn Forecaster>, u: &mut Unstructured<'_>) -> Result<()> {
    let mut path = vec![f64::NAN; u.int_in_range(0..=80)?];
    let (series, signals) = (steps(u)?, steps(u)?);
    for (t, &y) in series.iter().enumerate() {
        let signal = |by: usize| signals.get((t + by) % signals.len().max(1)).copied().flatten();
        model.update_with(y, &[signal(0), y, None, signal(3)]);
        if t % 64 == 63 {
            match u.arbitrary::<u8>()? {
                0 => model.reset(),
                1 => _ = model.set_period(None),
                period @ 2..=64 => {
                    _ = model.set_period(Some(usize::from(period) * 2 % PERIOD_STEPS_MAX + 1));
                }
                _ => {}
            }
        }
        path.fill(f64::NAN);
        model.forecast(&mut path);
        check_path(model.name(), &path);
    }
    Ok(())
}

pub(crate) fn predictor(u: &mut Unstructured<'_>) -> Result<()> {
    let models = ["auto", "auto", "last_value", "holt", "ar", "seasonal"];
    let options = PredictorOptions {
        step: Duration::from_millis(u.int_in_range(1..=5_000)?),
        horizon: Duration::from_millis(u.int_in_range(1..=60_000)?),
        model: (*u.choose(&models)?).into(),
        release: Duration::from_millis(u.arbitrary::<u32>()?.into()),
        stagger: u.arbitrary()?,
        ..PredictorOptions::default()
    };
    let (step_ms, steps_ahead) = (options.step.as_millis() as u64, options.horizon.as_millis());
    let Ok(mut predictor) = Predictor::new(options) else {
        return Ok(());
    };
    let irregular: bool = u.arbitrary()?;
    let (mut now_ms, mut in_order) = (u.arbitrary::<u32>()?.into(), 0);
    for y in steps(u)? {
        now_ms = if irregular && u.ratio(1, 8)? {
            in_order = 0;
            u.arbitrary()?
        } else {
            u64::saturating_add(now_ms, step_ms)
        };
        predictor.observe_with(now_ms, y, &signals(y));
        in_order = if y.is_some_and(f64::is_finite) {
            in_order + 1
        } else {
            0
        };
        // Instants near the end of time cannot be told apart.
        let must_answer = !irregular && in_order >= 4;
        assert!(
            !must_answer || predictor.forecast().is_some(),
            "{steps_ahead} ms ahead"
        );
        check_forecast(&predictor);
    }
    Ok(())
}

fn signals(y: Option<f64>) -> SignalValues {
    let signals = SignalValues {
        cpu: y,
        connections: y.map(|y| y * 3.0),
        ..SignalValues::default()
    };
    let capacity = CapacityValues {
        cpu: y.map(|y| 1.0 / y),
        connections: Some(1e-3),
        ..CapacityValues::default()
    };
    if let Some(load) = load_score(&signals, &capacity) {
        assert!(load.score >= 0.0, "{load:?}");
    }
    signals
}

fn check_forecast(predictor: &Predictor) {
    predictor.gated();
    let Some(forecast) = predictor.forecast() else {
        return;
    };
    check_path("predictor", forecast.point());
    for (_, path) in forecast.quantiles() {
        check_path("predictor", path);
        assert!(path.iter().all(|y| *y >= 0.0), "{path:?}");
    }
    for told in [
        forecast.error(),
        forecast.error_of_persistence(),
        forecast.coverage(),
    ] {
        assert!(told.is_none_or(f64::is_finite), "{told:?}");
    }
    for scored in predictor.scored() {
        check_path("scored", &[scored.predicted, scored.predicted_q90, scored.actual]);
    }
}
