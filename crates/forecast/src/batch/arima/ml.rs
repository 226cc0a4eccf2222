//! Maximum likelihood estimates of one model, from conditional ones.
//!
//! The search runs over the inverse hyperbolic tangents of the partial autocorrelations of each polynomial, which are
//! free where the coefficients are not: Jones, *Maximum likelihood fitting of ARMA models to time series with missing
//! observations* (1980), and Monahan (1984) for the moving average.

use super::{
    css::Estimate,
    likelihood::{Likelihood, Mean, likelihood},
    linear::invert,
    optimise::{identity, minimise},
    order::Form,
    polynomial::{from_partials, partials},
};

/// Where a partial autocorrelation of 1 is put.
const FREE_MAX: f64 = 6.0;

/// Improves on `start`; `None` where the likelihood cannot be had even there.
pub(super) fn refine(
    form: &Form,
    w: &[f64],
    start: &Estimate,
    mean: Mean,
    steps_max: usize,
    tolerance: f64,
) -> Option<(Vec<f64>, Likelihood)> {
    let free = to_free(form, &start.terms)?;
    let mut cost = |x: &[f64]| {
        likelihood(form, &to_terms(form, x), w, mean).map_or(f64::INFINITY, |found| found.objective())
    };
    let inverse = inverse_curvature(form, start, &free).unwrap_or_else(|| identity(free.len()));
    let best = minimise(&mut cost, free, inverse, steps_max, tolerance);
    let terms = to_terms(form, &best);
    let found = likelihood(form, &terms, w, mean)?;
    Some((terms, found))
}

/// The inverse of the curvature of half the mean deviance, from the least squares', in free coordinates.
fn inverse_curvature(form: &Form, start: &Estimate, free: &[f64]) -> Option<Vec<f64>> {
    let n = free.len();
    if n == 0 {
        return None;
    }
    let base = to_terms(form, free);
    // Row i: what coordinate i does to each coefficient.
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let mut moved = free.to_vec();
        moved[i] += 1e-5;
        let terms = to_terms(form, &moved);
        rows.push(
            terms
                .iter()
                .zip(&base)
                .map(|(a, b)| (a - b) / 1e-5)
                .collect::<Vec<f64>>(),
        );
    }
    let through = |row: &[f64]| -> Vec<f64> {
        let products = start.curvature.chunks_exact(n);
        products
            .map(|c| c.iter().zip(row).map(|(a, b)| a * b).sum())
            .collect()
    };
    let mut all = Vec::with_capacity(n * n);
    for row in &rows {
        let carried = through(row);
        let product = |other: &Vec<f64>| carried.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        all.extend(rows.iter().map(|other| product(other) / start.squares));
    }
    for i in 0..n {
        all[i * n + i] += 1e-4;
    }
    invert(&all, n)
}

fn to_free(form: &Form, terms: &[f64]) -> Option<Vec<f64>> {
    let blocks = form.split(terms);
    let mut all = Vec::with_capacity(terms.len());
    for (block, sign) in [
        (blocks.ar, 1.0),
        (blocks.ma, -1.0),
        (blocks.seasonal_ar, 1.0),
        (blocks.seasonal_ma, -1.0),
    ] {
        let signed: Vec<f64> = block.iter().map(|c| sign * c).collect();
        let bounded = partials(&signed)?;
        all.extend(bounded.iter().map(|r| r.atanh().clamp(-FREE_MAX, FREE_MAX)));
    }
    Some(all)
}

fn to_terms(form: &Form, free: &[f64]) -> Vec<f64> {
    let blocks = form.split(free);
    let mut all = Vec::with_capacity(free.len());
    for (block, sign) in [
        (blocks.ar, 1.0),
        (blocks.ma, -1.0),
        (blocks.seasonal_ar, 1.0),
        (blocks.seasonal_ma, -1.0),
    ] {
        let bounded: Vec<f64> = block
            .iter()
            .map(|x| x.clamp(-FREE_MAX, FREE_MAX).tanh())
            .collect();
        all.extend(from_partials(&bounded).iter().map(|c| sign * c));
    }
    all
}
