//! Which ARIMA: the numbers of lags and differences, and whether there is a constant.

use std::fmt;

use crate::FitError;

/// Longest lag that a model may reach back, in steps: the size of the state, whose square a missing value costs.
const LAGS_MAX: usize = 192;

/// Most coefficients of one kind.
const TERMS_MAX: usize = 24;

/// Numbers of autoregressive terms, differences and moving-average terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    /// Autoregressive terms.
    pub p: usize,
    /// Differences, at most 3.
    pub d: usize,
    /// Moving-average terms.
    pub q: usize,
}

impl From<(usize, usize, usize)> for Order {
    fn from((p, d, q): (usize, usize, usize)) -> Self {
        Self { p, d, q }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{},{})", self.p, self.d, self.q)
    }
}

/// One ARIMA model, its parameters apart.
///
/// Shown as `arima(0,1,1)(0,1,1)[12]`, with ` with mean` or ` with drift` behind it where it has a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Terms and differences at successive steps.
    pub order: Order,
    /// Terms and differences a season apart.
    pub seasonal: Order,
    /// Steps in a season; 1 where there is none.
    pub period: usize,
    /// Whether the differenced series has a mean other than 0: a mean of the series without differences, a drift
    /// with one, a curve with two.
    pub constant: bool,
}

impl Form {
    /// Coefficients to be estimated, the constant among them, the variance not.
    pub(super) fn parameters(&self) -> usize {
        self.terms() + usize::from(self.constant)
    }

    /// Coefficients without the constant.
    pub(super) fn terms(&self) -> usize {
        self.order.p + self.order.q + self.seasonal.p + self.seasonal.q
    }

    /// Longest autoregressive lag of the differenced series.
    pub(super) fn ar_lag(&self) -> usize {
        self.order.p + self.period * self.seasonal.p
    }

    /// Longest moving-average lag.
    pub(super) fn ma_lag(&self) -> usize {
        self.order.q + self.period * self.seasonal.q
    }

    /// Values that differencing takes from the front.
    pub(super) fn lost(&self) -> usize {
        self.order.d + self.period * self.seasonal.d
    }

    /// Differences of both kinds.
    pub(super) fn differences(&self) -> usize {
        self.order.d + self.seasonal.d
    }

    /// Fewest values that it can be fitted to.
    pub(super) fn need(&self) -> usize {
        self.lost() + self.ar_lag() + self.ma_lag().max(self.parameters()) + 3
    }

    /// Splits coefficients, without the constant, into their kinds.
    pub(super) fn split<'a>(&self, terms: &'a [f64]) -> Blocks<'a> {
        let (ar, rest) = terms.split_at(self.order.p);
        let (ma, rest) = rest.split_at(self.order.q);
        let (seasonal_ar, rest) = rest.split_at(self.seasonal.p);
        Blocks {
            ar,
            ma,
            seasonal_ar,
            seasonal_ma: &rest[..self.seasonal.q],
        }
    }

    /// Refuses what would cost without bound, or has no meaning.
    pub(super) fn check(&self) -> Result<(), FitError> {
        let all = [
            self.order.p,
            self.order.q,
            self.seasonal.p,
            self.seasonal.q,
            self.period,
        ];
        let terms = [self.order.p, self.order.q, self.seasonal.p, self.seasonal.q];
        let reason = if self.order.d > 3 || self.seasonal.d > 2 {
            "more than 3 differences, or more than 2 seasonal ones, leave only noise"
        } else if self.period < 2 && self.seasonal != Order::default() {
            "a seasonal part needs a period of at least 2"
        } else if all.iter().any(|n| *n > LAGS_MAX)
            || terms.iter().any(|n| *n > TERMS_MAX)
            || self.ar_lag() + self.lost() > LAGS_MAX
            || self.ma_lag() > LAGS_MAX
        {
            "its lags reach back further than 192 steps, or it has over 24 terms of a kind; remove the season first"
        } else {
            return Ok(());
        };
        Err(FitError::Unsuitable {
            model: "arima",
            reason: format!("{self}: {reason}"),
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arima{}", self.order)?;
        if self.period > 1 && self.seasonal != Order::default() {
            write!(f, "{}[{}]", self.seasonal, self.period)?;
        }
        match (self.constant, self.differences()) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str(" with mean"),
            (true, _) => f.write_str(" with drift"),
        }
    }
}

/// Coefficients by their kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks<'a> {
    pub(super) ar: &'a [f64],
    pub(super) ma: &'a [f64],
    pub(super) seasonal_ar: &'a [f64],
    pub(super) seasonal_ma: &'a [f64],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(order: (usize, usize, usize), seasonal: (usize, usize, usize), period: usize) -> Form {
        Form {
            order: order.into(),
            seasonal: seasonal.into(),
            period,
            constant: false,
        }
    }

    #[test]
    fn a_form_is_shown_as_in_the_literature() {
        let airline = form((0, 1, 1), (0, 1, 1), 12);
        assert_eq!(airline.to_string(), "arima(0,1,1)(0,1,1)[12]");
        let mean = Form {
            constant: true,
            ..form((2, 0, 1), (0, 0, 0), 12)
        };
        assert_eq!(mean.to_string(), "arima(2,0,1) with mean");
    }

    #[test]
    fn forms_without_meaning_or_bound_are_refused() {
        for form in [
            form((1, 4, 0), (0, 0, 0), 1),
            form((0, 0, 0), (1, 0, 0), 1),
            form((25, 0, 0), (0, 0, 0), 1),
            form((usize::MAX, 0, usize::MAX), (0, 0, 0), 1),
            form((1, 0, 0), (2, 1, 0), 96),
            form((0, 0, 0), (1, 0, 1), usize::MAX),
        ] {
            assert!(form.check().is_err(), "{form}");
        }
    }
}
