//! Conditional least squares: quick estimates, good enough to search among orders and to start the exact ones.
//!
//! The residuals are conditional on the first values (Box & Jenkins, *Time Series Analysis*, 7.1). Their derivative by
//! a coefficient is the same filtered series for all coefficients of a kind, a few steps apart, so that a step of
//! Gauss and Newton costs a handful of passes over the series however many coefficients there are. Levenberg's damping
//! and a check of the roots keep each step inside the region of stationary and invertible models.

use super::{
    filter::{divide, dot, whiten},
    linear::solve,
    order::{Blocks, Form},
    polynomial::{Lags, ma_roots_beyond, roots_beyond},
};

/// Closest that a root may come to the unit circle: there the exact likelihood has to judge.
const RADIUS_MIN: f64 = 1.0005;

/// Steps of an estimation, and tries of one step.
const STEPS_MAX: usize = 15;
const TRIES_MAX: usize = 6;

/// Estimates by conditional least squares.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    /// Coefficients, without the constant.
    pub(super) terms: Vec<f64>,
    /// Mean of the differenced series.
    pub(super) mean: f64,
    /// Sum of squared residuals, and their number.
    pub(super) squares: f64,
    pub(super) n: usize,
    /// Products of the residuals' derivatives by the coefficients, row by row.
    pub(super) curvature: Vec<f64>,
}

impl Estimate {
    /// Variance of the residuals.
    pub(super) fn variance(&self) -> f64 {
        self.squares / self.n.max(1) as f64
    }
}

/// Improves on coefficients `start` for the differenced series `w`; `tolerance` is the relative gain of a step under
/// which it ends.
pub(super) fn estimate(form: &Form, w: &[f64], start: &[f64], mean: f64, tolerance: f64) -> Estimate {
    let fallback = vec![0.0; form.terms()];
    let start = if is_inside(form, start) { start } else { &fallback };
    let mut best = Point::new(form, w, start.to_vec(), mean);
    let mut slopes = best.slopes(form, w);
    let mut damping = 1e-4;
    for _ in 0..STEPS_MAX {
        let Some(next) = step(form, w, &best, &slopes, &mut damping) else {
            break;
        };
        let gain = best.squares - next.squares;
        let is_done = gain <= tolerance * best.squares;
        best = next;
        slopes = best.slopes(form, w);
        if is_done {
            break;
        }
    }
    Estimate {
        curvature: slopes.curvature(form.terms()),
        n: w.len() - best.from,
        terms: best.terms,
        mean: best.mean,
        squares: best.squares,
    }
}

/// Sum of squared residuals of coefficients as they are; infinite outside the region that is allowed.
pub(super) fn squares(form: &Form, w: &[f64], terms: &[f64], mean: f64) -> f64 {
    if !is_inside(form, terms) {
        return f64::INFINITY;
    }
    Point::new(form, w, terms.to_vec(), mean).squares
}

/// Whether all roots lie outside the unit circle.
pub(super) fn is_inside(form: &Form, terms: &[f64]) -> bool {
    roots_clear(form, terms, RADIUS_MIN)
}

/// Whether all roots lie further than `radius` from 0.
pub(super) fn roots_clear(form: &Form, terms: &[f64], radius: f64) -> bool {
    let blocks = form.split(terms);
    let seasonal = radius.powf(form.period as f64);
    roots_beyond(blocks.ar, radius)
        && ma_roots_beyond(blocks.ma, radius)
        && roots_beyond(blocks.seasonal_ar, seasonal)
        && ma_roots_beyond(blocks.seasonal_ma, seasonal)
}

fn step(form: &Form, w: &[f64], from: &Point, slopes: &Slopes, damping: &mut f64) -> Option<Point> {
    let (n, terms) = (slopes.columns.len(), form.terms());
    let right: Vec<f64> = slopes.products(&from.residuals);
    let square = slopes.square();
    for _ in 0..TRIES_MAX {
        let mut damped = square.clone();
        for i in 0..n {
            damped[i * n + i] = square[i * n + i] * (1.0 + *damping) + f64::MIN_POSITIVE;
        }
        *damping = (*damping * 8.0).min(1e6);
        let Some(change) = solve(&damped, &right) else {
            continue;
        };
        let moved: Vec<f64> = from.terms.iter().zip(&change).map(|(a, b)| a + b).collect();
        if !is_inside(form, &moved) {
            continue;
        }
        let mean = from.mean + change.get(terms).copied().unwrap_or(0.0);
        let next = Point::new(form, w, moved, mean);
        if next.squares < from.squares {
            *damping = (*damping / 80.0).max(1e-9);
            return Some(next);
        }
    }
    None
}

/// Coefficients and the residuals that they leave.
struct Point {
    terms: Vec<f64>,
    mean: f64,
    /// First value with a residual: those before it are what is conditioned on.
    from: usize,
    residuals: Vec<f64>,
    squares: f64,
}

impl Point {
    fn new(form: &Form, w: &[f64], terms: Vec<f64>, mean: f64) -> Self {
        let blocks = form.split(&terms);
        let from = form.ar_lag().min(w.len());
        let centred: Vec<f64> = w.iter().map(|y| y - mean).collect();
        let ar = Lags::autoregressive(blocks.ar, blocks.seasonal_ar, form.period);
        let mut residuals = whiten(&centred, ar.sparse(), from);
        divide_both(&mut residuals, form, &blocks);
        let squares = dot(&residuals, &residuals);
        Self {
            mean,
            from,
            squares: if squares.is_finite() {
                squares
            } else {
                f64::INFINITY
            },
            residuals,
            terms,
        }
    }

    /// The derivatives of the residuals. Those by autoregressive coefficients neglect that residuals begin late.
    fn slopes(&self, form: &Form, w: &[f64]) -> Slopes {
        let blocks = form.split(&self.terms);
        let centred: Vec<f64> = w.iter().map(|y| y - self.mean).collect();
        let by_input = |lags: Lags| {
            let mut series = whiten(&centred, lags.sparse(), 0);
            divide_both(&mut series, form, &blocks);
            series
        };
        let by_output = |own: &[f64], every: usize| {
            let mut series = self.residuals.clone();
            divide(&mut series, spread(own, every).sparse(), self.from);
            series
        };
        let period = form.period;
        let mut slopes = Slopes::new(w.len(), self.from, form.ar_lag().max(form.ma_lag()));
        // In the order of `Form::split`.
        slopes.add(form.order.p, 1, || {
            by_input(Lags::autoregressive(&[], blocks.seasonal_ar, period))
        });
        slopes.add(form.order.q, 1, || by_output(blocks.ma, 1));
        slopes.add(form.seasonal.p, period, || {
            by_input(Lags::new(blocks.ar.to_vec()))
        });
        slopes.add(form.seasonal.q, period, || by_output(blocks.seasonal_ma, period));
        if form.constant {
            slopes.add_constant(form, &blocks);
        }
        slopes
    }
}

/// Divides by both moving-average polynomials.
fn divide_both(series: &mut [f64], form: &Form, blocks: &Blocks<'_>) {
    divide(series, spread(blocks.ma, 1).sparse(), 0);
    divide(series, spread(blocks.seasonal_ma, form.period).sparse(), 0);
}

/// Coefficients at every `every` lags.
fn spread(own: &[f64], every: usize) -> Lags {
    Lags::moving_average(&[], own, every)
}

/// Derivatives of the residuals, with their sign turned, as windows into a few series.
struct Slopes {
    n: usize,
    from: usize,
    /// Zeros before each series, as many as the longest lag.
    pad: usize,
    series: Vec<Vec<f64>>,
    /// `(series, lag)`.
    columns: Vec<(usize, usize)>,
}

impl Slopes {
    fn new(n: usize, from: usize, pad: usize) -> Self {
        Self {
            n,
            from,
            pad,
            series: Vec::new(),
            columns: Vec::new(),
        }
    }

    fn add(&mut self, count: usize, every: usize, series: impl FnOnce() -> Vec<f64>) {
        if count > 0 {
            self.columns
                .extend((1..=count).map(|i| (self.series.len(), i * every)));
            self.series.push(self.padded(&series()));
        }
    }

    fn padded(&self, series: &[f64]) -> Vec<f64> {
        let mut padded = vec![0.0; self.pad + series.len()];
        padded[self.pad..].copy_from_slice(series);
        padded
    }

    fn add_constant(&mut self, form: &Form, blocks: &Blocks<'_>) {
        let level = 1.0 - Lags::autoregressive(blocks.ar, blocks.seasonal_ar, form.period).sum();
        let mut series = vec![0.0; self.n];
        series[self.from..].fill(level);
        divide_both(&mut series, form, blocks);
        self.columns.push((self.series.len(), 0));
        self.series.push(self.padded(&series));
    }

    fn column(&self, index: usize) -> &[f64] {
        let (series, lag) = self.columns[index];
        &self.series[series][self.pad + self.from - lag..self.pad + self.n - lag]
    }

    /// Products with the residuals.
    fn products(&self, residuals: &[f64]) -> Vec<f64> {
        (0..self.columns.len())
            .map(|i| dot(self.column(i), &residuals[self.from..]))
            .collect()
    }

    fn square(&self) -> Vec<f64> {
        let n = self.columns.len();
        let mut all = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let product = dot(self.column(i), self.column(j));
                all[i * n + j] = product;
                all[j * n + i] = product;
            }
        }
        all
    }

    /// The square without the constant.
    fn curvature(&self, terms: usize) -> Vec<f64> {
        let (n, square) = (self.columns.len(), self.square());
        let rows = square.chunks_exact(n.max(1)).take(terms);
        rows.flat_map(|row| row[..terms].iter().copied()).collect()
    }
}
