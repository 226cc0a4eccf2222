//! What is expected of the next values, and how sure that is: the Kalman filter at the end of a series.
//!
//! Element `i` of the state is the expectation of the value `i + 1` steps ahead, given all innovations so far. Where
//! these are known, which they are once a filter has settled, the state is known too and an update is a shift and a
//! multiple of the psi weights. A missing value leaves its innovation unknown: a covariance is then carried along
//! until the values that follow have told it. Harvey, *Forecasting, Structural Time Series Models and the Kalman
//! Filter* (1989), 3.2 and 3.4.

use super::{
    autocovariance::autocovariances,
    polynomial::{Lags, psi},
};

/// Uncertainty of the state, relative to an innovation's, that counts as none.
const CERTAIN: f64 = 1e-9;

/// Uncertainty beyond which a gap no longer adds: numbers stay finite however long nothing is seen.
const UNCERTAIN_MAX: f64 = 1e12;

/// Largest expectation, in units of the series' spread.
const EXPECTED_MAX: f64 = 1e200;

/// A filter that follows one series.
#[derive(Debug, Clone)]
pub(super) struct State {
    ar: Lags,
    /// What an innovation adds to each expectation.
    psi: Vec<f64>,
    /// Added to the last expectation at each step.
    constant: f64,
    expected: Vec<f64>,
    /// Row by row, in units of the innovation variance; `None` where the state is known.
    covariance: Option<Vec<f64>>,
}

impl State {
    /// Before the first value of a stationary series of mean 0; `None` where the coefficients are not stationary.
    pub(super) fn stationary(ar: &Lags, ma: &Lags) -> Option<Self> {
        let size = ar.len().max(ma.len()).max(1);
        let gamma = autocovariances(ar, ma, size)?;
        let psi = psi(ar, ma, size);
        let mut covariance = vec![0.0; size * size];
        for lag in 0..size {
            // Of the values 1 + i and 1 + i + lag steps ahead, the part that is due to innovations already past.
            let mut known = gamma[lag];
            let weight = |i: usize| if i == 0 { 1.0 } else { psi[i - 1] };
            for i in 0..size - lag {
                known -= weight(i) * weight(i + lag);
                covariance[i * size + i + lag] = known;
                covariance[(i + lag) * size + i] = known;
            }
        }
        Some(Self {
            ar: ar.clone(),
            psi,
            constant: 0.0,
            expected: vec![0.0; size],
            covariance: Some(covariance),
        })
    }

    /// Follows the series of which this one is the differenced deviation from `mean`.
    ///
    /// `differences` is the differencing polynomial, `past` the series itself, at least as long as that.
    pub(super) fn integrated(self, ma: &Lags, mean: f64, differences: &Lags, past: &[f64]) -> Self {
        let ar = Lags::new(joined(self.ar.dense(), differences.dense()));
        let size = ar.len().max(ma.len()).max(1);
        let (mut expected, mut rows) = self.continued(size);
        for i in 0..size {
            expected[i] += mean;
            for &(lag, c) in differences.sparse() {
                if lag <= i {
                    expected[i] += c * expected[i - lag];
                    let (earlier, row) = rows.split_at_mut(i);
                    add(&mut row[0], c, &earlier[i - lag]);
                } else {
                    expected[i] += c * past[past.len() + i - lag];
                }
            }
        }
        let covariance = self.covariance.as_ref().map(|inner| sandwich(&rows, inner));
        let mut all = Self {
            constant: mean * (1.0 - self.ar.sum()),
            psi: psi(&ar, ma, size),
            ar,
            expected,
            covariance,
        };
        all.settle();
        all
    }

    /// The expectations for `size` steps, and each as a combination of the state's elements.
    fn continued(&self, size: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
        let own = self.expected.len();
        let mut expected = self.expected.clone();
        let mut rows: Vec<Vec<f64>> = (0..own)
            .map(|i| (0..own).map(|j| f64::from(u8::from(i == j))).collect())
            .collect();
        for i in own..size {
            expected.push(
                self.ar
                    .sparse()
                    .iter()
                    .map(|(lag, c)| c * expected[i - lag])
                    .sum(),
            );
            let mut row = vec![0.0; own];
            for &(lag, c) in self.ar.sparse() {
                add(&mut row, c, &rows[i - lag]);
            }
            rows.push(row);
        }
        (expected, rows)
    }

    /// Takes the next value; `None` where it was not seen.
    pub(super) fn update(&mut self, value: Option<f64>) {
        let first = self.expected[0];
        shift(&mut self.expected, &self.ar);
        if let Some(last) = self.expected.last_mut() {
            *last += self.constant;
        }
        match value {
            Some(value) => self.learn(value - first),
            None => self.lose_sight(),
        }
        for expected in &mut self.expected {
            *expected = expected.clamp(-EXPECTED_MAX, EXPECTED_MAX);
        }
    }

    fn learn(&mut self, innovation: f64) {
        let Some(covariance) = &mut self.covariance else {
            add(&mut self.expected, innovation, &self.psi);
            return;
        };
        let size = self.psi.len();
        let variance = covariance[0] + 1.0;
        let mut gain = covariance[..size].to_vec();
        shift(&mut gain, &self.ar);
        add(&mut gain, 1.0, &self.psi);
        add(&mut self.expected, innovation / variance, &gain);
        advance(covariance, &self.ar);
        add_outer(covariance, 1.0, &self.psi);
        add_outer(covariance, -1.0 / variance, &gain);
        self.settle();
    }

    fn lose_sight(&mut self) {
        let size = self.psi.len();
        let covariance = self.covariance.get_or_insert_with(|| vec![0.0; size * size]);
        if covariance.iter().all(|c| c.abs() < UNCERTAIN_MAX) {
            advance(covariance, &self.ar);
            add_outer(covariance, 1.0, &self.psi);
        }
    }

    /// Drops a covariance that is practically 0.
    fn settle(&mut self) {
        if let Some(covariance) = &self.covariance
            && covariance.iter().all(|c| c.abs() < CERTAIN)
        {
            self.covariance = None;
        }
    }

    /// Expected values of the next steps.
    pub(super) fn expected(&self, horizon: usize) -> Vec<f64> {
        let mut all = self.expected.clone();
        for i in all.len()..horizon {
            let carried: f64 = self.ar.sparse().iter().map(|(lag, c)| c * all[i - lag]).sum();
            all.push((carried + self.constant).clamp(-EXPECTED_MAX, EXPECTED_MAX));
        }
        all.truncate(horizon);
        all
    }

    /// Variances of the errors of these, in units of the innovation variance. They do not depend on what was seen
    /// but for what was missing.
    pub(super) fn variances(&self, ma: &Lags, horizon: usize) -> Vec<f64> {
        let weights = psi(&self.ar, ma, horizon);
        let mut to_come = 1.0;
        let mut all = Vec::with_capacity(horizon);
        let mut covariance = self.covariance.clone();
        for weight in weights {
            let already = covariance.as_ref().map_or(0.0, |c| c[0].max(0.0));
            all.push(f64::min(to_come + already, f64::MAX));
            to_come += weight * weight;
            if let Some(covariance) = &mut covariance {
                advance(covariance, &self.ar);
            }
        }
        all
    }
}

/// One step of what is expected: the next becomes the present, and the autoregression tells the last.
fn shift(state: &mut [f64], ar: &Lags) {
    let size = state.len();
    let last: f64 = ar.sparse().iter().map(|(lag, c)| c * state[size - lag]).sum();
    state.copy_within(1.., 0);
    state[size - 1] = last;
}

/// The product of two autoregressive polynomials.
fn joined(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; a.len() + b.len()];
    all[..a.len()].copy_from_slice(a);
    for (j, b) in (1..).zip(b) {
        all[j - 1] += b;
        for (i, a) in (1..).zip(a) {
            all[i + j - 1] -= a * b;
        }
    }
    all
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// `matrix += factor · v vᵀ`.
fn add_outer(matrix: &mut [f64], factor: f64, v: &[f64]) {
    for (row, own) in matrix.chunks_exact_mut(v.len()).zip(v) {
        add(row, factor * own, v);
    }
}

/// `rows · inner · rowsᵀ`.
fn sandwich(rows: &[Vec<f64>], inner: &[f64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(rows.len() * rows.len());
    for row in rows {
        let mut carried = vec![0.0; row.len()];
        for (own, inner) in row.iter().zip(inner.chunks_exact(row.len())) {
            add(&mut carried, *own, inner);
        }
        all.extend(rows.iter().map(|other| super::filter::dot(&carried, other)));
    }
    all
}

/// One step of the transition on both sides of a covariance.
fn advance(covariance: &mut [f64], ar: &Lags) {
    let size = covariance.len().isqrt();
    let mut last = vec![0.0; size];
    for &(lag, c) in ar.sparse() {
        let from = (size - lag) * size;
        add(&mut last, c, &covariance[from..from + size]);
    }
    covariance.copy_within(size.., 0);
    let end = covariance.len() - size;
    covariance[end..].copy_from_slice(&last);
    for row in covariance.chunks_exact_mut(size) {
        shift(row, ar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::arima::likelihood::{Mean, exact};

    const SERIES: [f64; 24] = [
        0.3, -1.2, 0.8, 0.1, 1.9, -0.4, -0.7, 0.2, 2.1, 0.9, -1.1, 0.5, 0.0, -0.6, 1.3, 0.7, -0.2, -1.8, 0.4,
        1.0, 0.6, -0.9, 0.3, 1.2,
    ];

    #[test]
    fn the_fast_likelihood_is_that_of_the_plain_filter() {
        for (ar, ma) in [
            (vec![], vec![]),
            (vec![0.9], vec![]),
            (vec![], vec![-0.97]),
            (vec![0.5, -0.3], vec![0.4]),
            (vec![0.2], vec![0.3, 0.0, 0.0, -0.5, -0.15]),
        ] {
            let (ar, ma) = (Lags::new(ar), Lags::new(ma));
            let fast = exact(&ar, &ma, &SERIES, Mean::Known(0.0)).expect("stationary");
            let mut state = State::stationary(&ar, &ma).expect("stationary");
            let (mut squares, mut logs) = (0.0, 0.0);
            for y in SERIES {
                let variance = state.variances(&ma, 1)[0];
                squares += (y - state.expected(1)[0]).powi(2) / variance;
                logs += variance.ln();
                state.update(Some(y));
            }
            assert!(
                (fast.squares - squares).abs() < 1e-7,
                "{ar:?} {ma:?} {fast:?} {squares}"
            );
            assert!(
                (fast.log_variances - logs).abs() < 1e-7,
                "{ar:?} {ma:?} {fast:?} {logs}"
            );
        }
    }

    #[test]
    fn a_gap_widens_and_what_follows_narrows_again() {
        let (ar, ma) = (Lags::new(vec![0.8]), Lags::new(vec![0.5]));
        let mut state = State::stationary(&ar, &ma).expect("stationary");
        SERIES.iter().for_each(|y| state.update(Some(*y)));
        let before = state.variances(&ma, 1)[0];
        state.update(None);
        state.update(None);
        // Two steps of an ARMA(1,1) unseen: 1 + (0.8 + 0.5)² + (0.8 · 1.3)².
        let after = state.variances(&ma, 1)[0];
        assert!(
            (before - 1.0).abs() < 1e-6 && (after - (1.0 + 1.69 + 1.0816)).abs() < 1e-6,
            "{before} {after}"
        );
        SERIES.iter().for_each(|y| state.update(Some(*y)));
        SERIES.iter().for_each(|y| state.update(Some(*y)));
        assert!(state.covariance.is_none());
    }
}
