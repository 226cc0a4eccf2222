//! Models that are fitted, and what is looked for in a whole series.

use arbitrary::{Result, Unstructured};
use foreshift_forecast::{
    Fit, FitError,
    batch::{
        Arima, ArimaOptions, Croston, Drift, Ets, Mstl, Naive, SeasonalNaive, Theta, Tsb, arima::Search,
        change, outliers, season,
    },
    series::Series,
};

use crate::input::{check, check_path, count, quantiles, steps, values};

/// Larger values are refused.
const BELIEVABLE_MAX: f64 = 1e100;

pub(crate) fn models(u: &mut Unstructured<'_>) -> Result<()> {
    let model: Box<dyn Fit> = match u.int_in_range(0..=9)? {
        0 => Box::new(Naive),
        1 => Box::new(Drift),
        2 => Box::new(SeasonalNaive::new(count(u)?)),
        3 => Box::new(Theta::new(None)),
        4 => Box::new(Theta::new(Some(count(u)?))),
        5 => Box::new(Ets::auto()),
        6 => Box::new(Croston::new()),
        7 => Box::new(Croston::corrected()),
        8 => Box::new(Tsb),
        _ => {
            let periods = u.int_in_range(0..=4)?;
            Box::new(Mstl::new((0..periods).map(|_| count(u)).collect::<Result<_>>()?))
        }
    };
    fit(&*model, &train(u)?, u)
}

/// On fewer values, as a search over orders takes its time.
pub(crate) fn arima(u: &mut Unstructured<'_>) -> Result<()> {
    let mut order = || Ok((count(u)? % 256, count(u)? % 4, count(u)?));
    let model = match order()? {
        (0..64, ..) => Arima::auto(),
        (64..96, _, period) => Arima::auto_seasonal(period),
        (96..160, ..) => {
            let (p, d, q) = order()?;
            Arima::of_order(p % 8, d, q % 8)
        }
        (160..220, _, period) => {
            let ((p, d, q), (sp, sd, sq)) = (order()?, order()?);
            Arima::seasonal((p % 4, d, q % 4), (sp % 3, sd, sq % 3), period)
        }
        (_, _, period) => Arima::seasonal(order()?, order()?, period),
    };
    let quick = ArimaOptions {
        search: Search::Quick,
        points_max: count(u)?,
    };
    let model = if u.arbitrary()? {
        model.with_options(quick)
    } else {
        model
    };
    let model = if u.arbitrary()? {
        model.with_constant(u.arbitrary()?)
    } else {
        model
    };
    let mut train = train(u)?;
    train.truncate(150);
    fit(&model, &train, u)
}

/// As it comes, or as a caller would have it: gaps filled, in range.
fn train(u: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    let mut values = values(u)?;
    if u.ratio(1, 8)? {
        return Ok(values);
    }
    for y in &mut values {
        *y = y.clamp(-BELIEVABLE_MAX, BELIEVABLE_MAX);
    }
    let series = Series::new(0, std::time::Duration::from_secs(1), values);
    Ok(series
        .and_then(|series| series.filled())
        .map_or(Vec::new(), |filled| filled.values))
}

/// Fits, forecasts, goes on; a refusal must be one that the seam allows.
pub(crate) fn fit(model: &dyn Fit, train: &[f64], u: &mut Unstructured<'_>) -> Result<()> {
    let is_usable = train.iter().all(|y| y.abs() <= BELIEVABLE_MAX);
    let mut fitted = match model.fit(train) {
        Ok(fitted) => fitted,
        Err(FitError::TooShort { need, found, .. }) => {
            assert!(
                found < need && found == train.len(),
                "{}: {need} {found}",
                model.name()
            );
            return Ok(());
        }
        Err(FitError::Value { index }) => {
            assert!(
                train[index].is_nan() || train[index].abs() > BELIEVABLE_MAX,
                "{}",
                model.name()
            );
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    assert!(is_usable, "{} was fitted to {train:?}", model.name());
    let (horizon, quantiles) = (u.int_in_range(0..=60)?, quantiles(u)?);
    check(
        fitted.name(),
        &fitted.predict(horizon, &quantiles),
        horizon,
        &quantiles,
    );
    for y in steps(u)?.into_iter().take(60) {
        fitted.update(y);
        check(fitted.name(), &fitted.predict(3, &quantiles), 3, &quantiles);
    }
    Ok(())
}

pub(crate) fn diagnostics(u: &mut Unstructured<'_>) -> Result<()> {
    let values = values(u)?;
    for season in season::detect(&values) {
        assert!(
            season.period >= 2 && (0.0..=1.0).contains(&season.strength),
            "{season:?}"
        );
    }
    for change in change::points(&values) {
        assert!(
            change.began <= change.noticed && change.noticed < values.len(),
            "{change:?}"
        );
        assert!(change.size.is_finite(), "{change:?}");
    }
    let mut cusum = change::Cusum::new(u.arbitrary()?);
    values.iter().for_each(|&y| _ = cusum.observe(y));
    let expected = crate::input::values(u)?;
    for clipped in [outliers::clip(&values), outliers::clip_around(&values, &expected)] {
        check_path("clipped", &clipped.values);
        assert_eq!(clipped.values.len(), values.len());
        assert_eq!(clipped.is_outlier.len(), values.len());
    }
    Ok(())
}
