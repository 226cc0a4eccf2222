//! What each value adds to what was known: the innovations of a stationary ARMA series, from its first value on.
//!
//! The Kalman filter in the fast form of Morf, Sidhu & Kailath, *Some new algorithms for recursive estimation in
//! constant linear discrete-time systems* (1974), as Pearlman, *An algorithm for the exact likelihood of a high-order
//! autoregressive-moving average process* (1980), has it for ARMA: the covariance of the state changes by a matrix of
//! rank one at each step, so that gain and variance follow in time linear in the order. Once they no longer change, the
//! innovations are those of the difference equation.

use super::{
    autocovariance::autocovariances,
    filter::{divide, dot, whiten},
    polynomial::Lags,
};

/// Change of the gain under which the filter counts as settled, in units of the innovation variance.
const SETTLED: f64 = 1e-10;

/// Sums over the innovations, each divided by its variance in units of the innovation variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sums {
    /// Squares of those of the series.
    pub(super) squares: f64,
    /// Squares of those of a series of ones; 0 where that was not asked for.
    pub(super) unit: f64,
    /// Products of both.
    pub(super) products: f64,
    /// Logarithms of the variances.
    pub(super) log_variances: f64,
}

/// Runs the series through the filter, and ones beside it if `with_unit`; `None` where the process is not stationary.
pub(super) fn sums(ar: &Lags, ma: &Lags, series: &[f64], with_unit: bool) -> Option<Sums> {
    let size = ar.len().max(ma.len()).max(1);
    let gamma = autocovariances(ar, ma, size)?;
    let mut run = Run::new(series, with_unit);
    match size {
        1 => run.small::<1>(ar, &gamma),
        2 => run.small::<2>(ar, &gamma),
        3 => run.small::<3>(ar, &gamma),
        4 => run.small::<4>(ar, &gamma),
        5 => run.small::<5>(ar, &gamma),
        _ => run.large(ar, &gamma),
    }
    run.finish(ar, ma)
}

struct Run<'a> {
    series: &'a [f64],
    own: Vec<f64>,
    unit: Vec<f64>,
    with_unit: bool,
    sums: Sums,
    /// Product of the variances that are not yet in the sum of logarithms.
    product: f64,
}

impl<'a> Run<'a> {
    fn new(series: &'a [f64], with_unit: bool) -> Self {
        Self {
            series,
            own: Vec::with_capacity(series.len()),
            unit: Vec::with_capacity(if with_unit { series.len() } else { 0 }),
            with_unit,
            sums: Sums {
                squares: 0.0,
                unit: 0.0,
                products: 0.0,
                log_variances: 0.0,
            },
            product: 1.0,
        }
    }

    /// With the size known to the compiler, which then keeps the states in registers.
    fn small<const N: usize>(&mut self, ar: &Lags, gamma: &[f64]) {
        let mut weights = [0.0; N];
        for (weight, c) in weights.iter_mut().rev().zip(ar.dense()) {
            *weight = *c;
        }
        let carried = |state: &[f64]| (0..N).map(|i| weights[i] * state[i]).sum::<f64>();
        let (mut own, mut unit) = ([0.0; N], [0.0; N]);
        let (mut gain, mut change) = ([0.0; N], [0.0; N]);
        self.filter(gamma, [&mut own, &mut unit, &mut gain, &mut change], carried);
    }

    fn large(&mut self, ar: &Lags, gamma: &[f64]) {
        let size = gamma.len() - 1;
        let carried = |state: &[f64]| ar.sparse().iter().map(|(lag, c)| c * state[size - lag]).sum();
        let mut states = vec![0.0; 4 * size];
        let (front, back) = states.split_at_mut(2 * size);
        let ((own, unit), (gain, change)) = (front.split_at_mut(size), back.split_at_mut(size));
        self.filter(gamma, [own, unit, gain, change], carried);
    }

    /// Until the filter has settled. The states hold what is expected of the next values, as in [`super::state`].
    #[inline(always)]
    fn filter(
        &mut self,
        gamma: &[f64],
        [own, unit, gain, change]: [&mut [f64]; 4],
        carried: impl Fn(&[f64]) -> f64,
    ) {
        let mut variance = gamma[0];
        gain.copy_from_slice(&gamma[1..]);
        change.copy_from_slice(gain);
        let mut weight = -1.0 / variance;
        // As many settled steps as lags, so that the difference equation starts from innovations and nothing else.
        let mut settled = 0;
        for y in self.series {
            let inverse = 1.0 / variance;
            self.count(variance);
            let innovation = y - own[0];
            step(own, gain, innovation * inverse, &carried);
            self.own.push(innovation);
            self.sums.squares += innovation * innovation * inverse;
            if self.with_unit {
                let other = 1.0 - unit[0];
                step(unit, gain, other * inverse, &carried);
                self.unit.push(other);
                self.sums.products += innovation * other * inverse;
                self.sums.unit += other * other * inverse;
            }
            if weight.abs() * dot(change, change) <= SETTLED {
                settled += 1;
                if settled > change.len() {
                    break;
                }
                continue;
            }
            settled = 0;
            let first = change[0];
            let scaled = weight * first;
            weight *= 1.0 + scaled * first * inverse;
            // Never under that of the innovation itself, but for rounding.
            variance = (variance + scaled * first).max(1.0);
            advance(change, gain, scaled, first / variance, &carried);
        }
    }

    fn count(&mut self, variance: f64) {
        self.product *= variance;
        if self.product > 1e100 {
            self.sums.log_variances += self.product.ln();
            self.product = 1.0;
        }
    }

    /// The rest by the difference equation.
    fn finish(mut self, ar: &Lags, ma: &Lags) -> Option<Sums> {
        let from = self.own.len();
        let own = rest(self.series, self.own, ar, ma);
        self.sums.squares += dot(&own[from..], &own[from..]);
        if self.with_unit {
            let unit = rest(&vec![1.0; self.series.len()], self.unit, ar, ma);
            self.sums.products += dot(&own[from..], &unit[from..]);
            self.sums.unit += dot(&unit[from..], &unit[from..]);
        }
        self.sums.log_variances += self.product.ln();
        let all = [
            self.sums.squares,
            self.sums.unit,
            self.sums.products,
            self.sums.log_variances,
        ];
        all.iter().all(|sum| sum.is_finite()).then_some(self.sums)
    }
}

/// All innovations of a series, given the first ones.
fn rest(series: &[f64], first: Vec<f64>, ar: &Lags, ma: &Lags) -> Vec<f64> {
    let from = first.len();
    if from == series.len() {
        return first;
    }
    let mut all = whiten(series, ar.sparse(), from);
    all[..from].copy_from_slice(&first);
    divide(&mut all, ma.sparse(), from);
    all
}

/// What is expected moves one step nearer, the autoregression tells the last, and an innovation changes all.
#[inline(always)]
fn step(state: &mut [f64], gain: &[f64], share: f64, carried: &impl Fn(&[f64]) -> f64) {
    shift(state, carried);
    for (expected, gain) in state.iter_mut().zip(gain) {
        *expected += gain * share;
    }
}

/// The gain of the next step, and the direction in which the covariance changes after it.
#[inline(always)]
fn advance(change: &mut [f64], gain: &mut [f64], scaled: f64, share: f64, carried: &impl Fn(&[f64]) -> f64) {
    shift(change, carried);
    for (change, gain) in change.iter_mut().zip(gain) {
        *gain += scaled * *change;
        *change -= share * *gain;
    }
}

#[inline(always)]
fn shift(state: &mut [f64], carried: &impl Fn(&[f64]) -> f64) {
    let last = carried(state);
    state.copy_within(1.., 0);
    if let Some(end) = state.last_mut() {
        *end = last;
    }
}
