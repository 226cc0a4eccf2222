//! Exponential smoothing whose form is chosen by the series: with or without trend, damped or not, errors that add or
//! that grow with the level.
//!
//! The search is the crate `augurs`', which agrees with statsforecast's AutoETS and so with R's `ets`: each form's
//! parameters by maximum likelihood, then the form with the least corrected AIC. Its fitted models cannot go on and do not
//! tell their parameters, so these are recovered from what it says of the training series, see [`recover`], and state,
//! updates and intervals are our own. Seasons are left to [`Mstl`](super::Mstl): the crate has none.

mod form;
mod recover;

use augurs::{
    Predict as _,
    ets::model::{ErrorComponent, Model, ModelType, SeasonalComponent, TrendComponent, Unfit},
};

use self::form::Form;
pub(super) use self::form::Smoother;
use super::scale::{Rescaled, Scale, scaled};
use crate::{Fit, FitError, Fitted};

const NEED: usize = 7;
/// Values that the search looks at, from the end: it takes some 13 µs each, whatever went before hardly matters.
const VALUES_MAX: usize = 10_000;
/// Largest scaled value: the search takes what is under 1e-8 or so as nothing.
const SIZE: f64 = 1024.0;

/// Exponential smoothing of the form that suits best: a series of seven values or more.
///
/// Forms are ANN, AAN, AAdN, and for positive series MNN, MAN, MAdN (Hyndman, Koehler, Ord & Snyder, *Forecasting with
/// Exponential Smoothing*, 2008); [`Fitted::name`] tells which, such as `ets(AAdN)`. Of a longer series the last 10,000
/// values are looked at. `update` goes on smoothing in constant time; a missing step counts as time that passed.
///
/// Intervals are those of additive errors. Where errors are relative, the terms in which they multiply are left out, as
/// these grow exponentially (widths of 1e25 were seen), and one step's error is taken as four times the usual at most.
#[derive(Debug, Clone, Copy)]
pub struct Ets {
    _private: (),
}

impl Ets {
    /// Chooses among all forms.
    pub fn auto() -> Self {
        Self { _private: () }
    }
}

impl Fit for Ets {
    fn name(&self) -> &str {
        "ets"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let (scale, smoother) = smoother("ets", train)?;
        Ok(Rescaled::boxed(scale, smoother))
    }
}

/// A fitted smoother of values on the scale that is told.
pub(super) fn smoother(model: &'static str, train: &[f64]) -> Result<(Scale, Smoother), FitError> {
    let recent =
        |values: &[f64]| Scale::ratio(&values[values.len().saturating_sub(VALUES_MAX)..]).enlarge(SIZE);
    let (scale, x) = scaled(model, NEED, train, recent)?;
    let x = &x[x.len().saturating_sub(VALUES_MAX)..];
    let unsuitable = |reason: String| FitError::Unsuitable { model, reason };
    let smoother = search(x).and_then(|(form, found)| describe(form, &found, x));
    let smoother =
        smoother.ok_or_else(|| unsuitable("no form of exponential smoothing has a finite fit".into()));
    Ok((scale, smoother?))
}

/// The form with the least corrected AIC, the first of equals, in the order of `augurs`' own search.
///
/// That search would forecast three steps at each value, of which the likelihood uses one.
fn search(x: &[f64]) -> Option<(Form, Model)> {
    let is_positive = x.iter().all(|&x| x > 0.0);
    let mut best: Option<(Form, Model)> = None;
    for form in Form::ALL.into_iter().filter(|form| is_positive || !form.relative) {
        let found = unfit(form).fit(x).ok().filter(|model| !model.aicc().is_nan());
        let Some(found) = found else { continue };
        if best.as_ref().is_none_or(|(_, best)| found.aicc() < best.aicc()) {
            best = Some((form, found));
        }
    }
    best
}

fn unfit(form: Form) -> Unfit {
    let kind = ModelType {
        error: if form.relative {
            ErrorComponent::Multiplicative
        } else {
            ErrorComponent::Additive
        },
        trend: if form.trend {
            TrendComponent::Additive
        } else {
            TrendComponent::None
        },
        season: SeasonalComponent::None,
    };
    Unfit::new(kind).damped(form.damped).nmse(1)
}

fn describe(form: Form, found: &Model, x: &[f64]) -> Option<Smoother> {
    let mut fitted = found.predict_in_sample(None).ok()?.point;
    // One step ahead belongs to the same recursion; two tell level and slope apart.
    let ahead = found.predict(2, None).ok()?.point;
    fitted.extend(&ahead);
    if fitted.iter().any(|y| !y.is_finite()) {
        return None;
    }
    let (fitted, second) = (&fitted[..=x.len()], ahead[1]);
    Some(recover::smoother(form, x, fitted, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::scale::Scaled as _;

    /// A walk, a noisy line, a level with noise that grows, and a curve that flattens.
    fn series() -> Vec<Vec<f64>> {
        let noise = |t: u32| f64::from(t.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) - 0.5;
        let mut walk = 50.0;
        let mut step = |t| {
            walk += noise(t);
            walk
        };
        vec![
            (0..300).map(&mut step).collect(),
            (0..300)
                .map(|t| 3.0 + 0.2 * f64::from(t) + 5.0 * noise(t))
                .collect(),
            (0..300)
                .map(|t| (5.0 + 0.1 * f64::from(t)) * (1.0 + 0.5 * noise(t)))
                .collect(),
            (0..300)
                .map(|t| 90.0 - 80.0 * 0.97_f64.powf(f64::from(t)) + noise(t))
                .collect(),
        ]
    }

    /// Replays the recovered recursion over the series and gives its worst difference to the search's own forecasts.
    fn replay(x: &[f64]) -> (Smoother, f64) {
        let scale = Scale::ratio(x).enlarge(SIZE);
        let x = scale.apply_all(x);
        let (form, found) = search(&x).expect("a form is found");
        let fitted = found.predict_in_sample(None).expect("was fitted").point;
        let end = describe(form, &found, &x).expect("is finite");
        let mut smoother = end.clone();
        // The state before the second value, from the first two forecasts.
        let (alpha, phi) = (end.smoothing.alpha, end.smoothing.phi);
        let first = fitted[0] + alpha * (x[0] - fitted[0]);
        (smoother.level, smoother.slope) = (
            first,
            if end.form.trend {
                (fitted[1] - first) / phi
            } else {
                0.0
            },
        );
        let mut worst = 0.0;
        for (x, fitted) in x[1..].iter().zip(&fitted[1..]) {
            worst = f64::max(worst, (smoother.next() - fitted).abs());
            smoother.step(Some(*x));
        }
        (end, worst)
    }

    #[test]
    fn the_recovered_recursion_makes_the_search_s_own_forecasts() {
        for x in series() {
            let (smoother, worst) = replay(&x);
            assert!(worst < 1e-7, "{smoother:?}: {worst}");
        }
    }
}
