//! First guesses of the coefficients: Hannan & Rissanen, *Recursive estimation of mixed autoregressive-moving average
//! order* (1982).
//!
//! A long autoregression tells what the innovations were about; the series is then regressed on its own lags and on
//! theirs. Once per differenced series, the long autoregression serves all orders.

use super::{filter::dot, linear::solve, order::Form};

/// A differenced series with a guess of its innovations.
#[derive(Debug, Clone)]
pub(super) struct Guesses {
    centred: Vec<f64>,
    innovations: Vec<f64>,
    mean: f64,
    /// First value that has an innovation.
    from: usize,
}

impl Guesses {
    /// `lag_max` is the longest lag that will be asked for.
    pub(super) fn new(w: &[f64], lag_max: usize) -> Self {
        let mean = w.iter().sum::<f64>() / w.len().max(1) as f64;
        let centred: Vec<f64> = w.iter().map(|y| y - mean).collect();
        let wanted = (10.0 * (w.len().max(1) as f64).log10()) as usize;
        let order = wanted.max(lag_max + 4).min(w.len() / 4);
        let ar = yule_walker(&centred, order);
        let from = ar.len();
        let lags: Vec<(usize, f64)> = (1..).zip(ar).collect();
        Self {
            innovations: super::filter::whiten(&centred, &lags, from),
            centred,
            mean,
            from,
        }
    }

    /// Mean of the series.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// Coefficients in the order of [`Form::split`]; all 0 where the data tell nothing.
    pub(super) fn terms(&self, form: &Form) -> Vec<f64> {
        let none = vec![0.0; form.terms()];
        let columns = self.columns(form);
        let Some(first) = columns.iter().map(|(_, lag)| lag + self.from).max() else {
            return none;
        };
        let n = self.centred.len();
        if n < first + 2 * columns.len() {
            return none;
        }
        let window = |(series, lag): &(&'_ [f64], usize)| first - lag..series.len() - lag;
        let target = &self.centred[first..];
        let size = columns.len();
        let mut square = vec![0.0; size * size];
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate().take(i + 1) {
                square[i * size + j] = dot(&a.0[window(a)], &b.0[window(b)]);
            }
            square[i * size + i] *= 1.0 + 1e-9;
        }
        let right: Vec<f64> = columns.iter().map(|c| dot(&c.0[window(c)], target)).collect();
        solve(&square, &right).unwrap_or(none)
    }

    fn columns(&self, form: &Form) -> Vec<(&[f64], usize)> {
        let of = |series, count, every| (1..=count).map(move |i| (series, i * every));
        let (values, innovations) = (self.centred.as_slice(), self.innovations.as_slice());
        of(values, form.order.p, 1)
            .chain(of(innovations, form.order.q, 1))
            .chain(of(values, form.seasonal.p, form.period))
            .chain(of(innovations, form.seasonal.q, form.period))
            .collect()
    }
}

/// The autoregression of `order` with the series' sample autocovariances; shorter where these are singular.
fn yule_walker(centred: &[f64], order: usize) -> Vec<f64> {
    let gamma: Vec<f64> = (0..=order)
        .map(|lag| dot(&centred[lag..], &centred[..centred.len() - lag]))
        .collect();
    let mut ar: Vec<f64> = Vec::with_capacity(order);
    let mut error = gamma[0];
    for k in 0..order {
        if error.is_nan() || error <= 1e-12 * gamma[0] {
            break;
        }
        let carried: f64 = ar.iter().zip(gamma[1..=k].iter().rev()).map(|(a, g)| a * g).sum();
        let partial = (gamma[k + 1] - carried) / error;
        let higher: Vec<f64> = (0..k).map(|i| ar[i] - partial * ar[k - 1 - i]).collect();
        ar.copy_from_slice(&higher);
        ar.push(partial);
        error *= 1.0 - partial * partial;
    }
    ar
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::batch::arima::order::Order;

    #[test]
    fn the_coefficients_of_a_long_series_are_guessed_well() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        let mut series = vec![0.0; 20_000];
        let mut before = 0.0;
        for t in 1..series.len() {
            let innovation = rng.random::<f64>() - 0.5;
            series[t] = 0.7 * series[t - 1] + innovation + 0.4 * before;
            before = innovation;
        }
        let form = Form {
            order: (1, 0, 1).into(),
            seasonal: Order::default(),
            period: 1,
            constant: true,
        };
        let terms = Guesses::new(&series, 1).terms(&form);
        assert!(
            (terms[0] - 0.7).abs() < 0.03 && (terms[1] - 0.4).abs() < 0.03,
            "{terms:?}"
        );
    }
}
