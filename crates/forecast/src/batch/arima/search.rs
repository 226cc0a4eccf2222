//! Chooses an order: the stepwise search of Hyndman & Khandakar, *Automatic time series forecasting: the forecast
//! package for R* (2008).
//!
//! Differences by tests, the rest by Akaike's corrected criterion: from a few small models to whichever neighbour is
//! better, until none is. Long series are searched by conditional least squares; the few best are then estimated by
//! maximum likelihood, and the best of these is taken.

use super::{
    ArimaOptions, Search,
    css::Estimate,
    model::{Data, Effort, Model, approximate_criterion},
    order::{Form, Order},
    series::{Standard, differenced, is_flat},
    stationarity::{differences, is_seasonal},
};

const P_MAX: usize = 5;
const SEASONAL_MAX: usize = 2;

/// Longest series that is searched by maximum likelihood.
const EXACT_MAX: usize = 150;

/// Maximum likelihood while searching.
const SEARCHING: Effort = Effort {
    steps_max: 5,
    gain_min: 1e-3,
};

/// Latest values that a quick search looks at.
const QUICK_POINTS: usize = 1_000;

/// The best model found; `None` where not even white noise could be estimated.
pub(super) fn best(series: &Standard, period: usize, options: &ArimaOptions) -> Option<Model> {
    let form = start(&series.values, period);
    let longest = longest(&form, series.values.len());
    let lag_max = longest.ar_lag().max(longest.ma_lag());
    let data = Data::new(series, &form, lag_max);
    if is_flat(&data.w) {
        let noise = Form {
            constant: true,
            ..form
        };
        let estimate = data.conditional(&noise, None, 1e-6);
        return data.exact(&noise, &estimate, options.search.last(period));
    }
    let mut search = Stepwise::new(&data, longest, options);
    search.run(form);
    search.finish(&data)
}

/// A form without terms, but with the differences that the series needs.
fn start(values: &[f64], period: usize) -> Form {
    let mut form = Form {
        order: Order::default(),
        seasonal: Order::default(),
        period,
        constant: false,
    };
    if is_seasonal(values, period) {
        form.seasonal.d = 1;
        if is_flat(&differenced(values, &form)) {
            form.seasonal.d = 0;
        }
    }
    form.order.d = differences(&differenced(values, &form), 2);
    form
}

/// The largest orders that the series is long enough for.
fn longest(form: &Form, n: usize) -> Form {
    let terms = P_MAX.min(n / 3);
    let seasonal = if form.period > 1 {
        SEASONAL_MAX.min(n / 3 / form.period)
    } else {
        0
    };
    let mut longest = *form;
    (longest.order.p, longest.order.q) = (terms, terms);
    (longest.seasonal.p, longest.seasonal.q) = (seasonal, seasonal);
    longest.constant = form.differences() <= 1;
    longest
}

struct Tried {
    form: Form,
    estimate: Estimate,
    criterion: f64,
}

struct Stepwise<'a> {
    data: Data,
    longest: Form,
    options: &'a ArimaOptions,
    is_exact: bool,
    tolerance: f64,
    models_max: usize,
    tried: Vec<Tried>,
    best: usize,
}

impl<'a> Stepwise<'a> {
    fn new(data: &Data, longest: Form, options: &'a ArimaOptions) -> Self {
        let lag_max = longest.ar_lag().max(longest.ma_lag());
        let (data, tolerance, models_max) = match options.search {
            Search::Thorough => (data.clone(), 1e-3, 94),
            Search::Quick => (data.latest(QUICK_POINTS, lag_max), 1e-3, 40),
        };
        Self {
            is_exact: options.search == Search::Thorough && data.w.len() <= EXACT_MAX,
            data,
            longest,
            options,
            tolerance,
            models_max,
            tried: Vec::new(),
            best: 0,
        }
    }

    fn run(&mut self, plain: Form) {
        for form in self.starts(plain) {
            self.consider(form);
        }
        while self.tried.len() < self.models_max {
            let from = self.tried[self.best].form;
            let is_better = neighbours(&from, &self.longest)
                .into_iter()
                .any(|form| self.tried.len() < self.models_max && self.consider(form));
            if !is_better {
                break;
            }
        }
    }

    /// The four of the paper, one without a constant, and the pure models, where a search step by step often ends
    /// before it has come.
    fn starts(&self, plain: Form) -> Vec<Form> {
        let longest = self.longest;
        let with = |p: usize, q: usize, seasonal_p: usize, seasonal_q: usize| {
            let mut form = plain;
            form.constant = longest.constant;
            form.order.p = p.min(longest.order.p);
            form.order.q = q.min(longest.order.q);
            form.seasonal.p = seasonal_p.min(longest.seasonal.p);
            form.seasonal.q = seasonal_q.min(longest.seasonal.q);
            form
        };
        let mut all = vec![
            with(2, 2, 1, 1),
            with(0, 0, 0, 0),
            with(1, 0, 1, 0),
            with(0, 1, 0, 1),
            plain,
        ];
        let pure = 2..=longest.order.p;
        all.extend(pure.flat_map(|terms| [with(terms, 0, 1, 0), with(0, terms, 0, 1)]));
        all
    }

    /// Fits it unless that was done; true where it is the best so far.
    fn consider(&mut self, form: Form) -> bool {
        if self.tried.iter().any(|tried| tried.form == form) {
            return false;
        }
        let kin = self.tried.get(self.best).map(|best| (&best.form, &best.estimate));
        let estimate = self.data.conditional(&form, kin, self.tolerance);
        let criterion = if self.is_exact {
            let model = self.data.exact(&form, &estimate, SEARCHING);
            model.map_or(f64::INFINITY, |model| model.criterion())
        } else {
            approximate_criterion(&form, &estimate, self.data.w.len())
        };
        let best = self
            .tried
            .get(self.best)
            .map_or(f64::INFINITY, |best| best.criterion);
        self.tried.push(Tried {
            form,
            estimate,
            criterion,
        });
        let is_better = criterion < best;
        if is_better {
            self.best = self.tried.len() - 1;
        }
        is_better
    }

    /// Maximum likelihood for the most promising, of which the best is taken.
    fn finish(mut self, data: &Data) -> Option<Model> {
        self.tried.sort_by(|a, b| a.criterion.total_cmp(&b.criterion));
        let mut best: Option<(f64, Model)> = None;
        let mut left = self.options.search.finalists();
        let effort = self.options.search.last(self.longest.period);
        for tried in &self.tried {
            if left == 0 {
                break;
            }
            let Some(model) = data.exact(&tried.form, &tried.estimate, effort) else {
                continue;
            };
            let criterion = model.criterion();
            left -= usize::from(criterion.is_finite());
            if best.as_ref().is_none_or(|(least, _)| criterion < *least) {
                best = Some((criterion, model));
            }
        }
        best.map(|(_, model)| model)
    }
}

/// Forms one step away, in the order of the paper's implementation: seasonal terms first.
fn neighbours(form: &Form, longest: &Form) -> Vec<Form> {
    const MOVES: [(isize, isize); 8] = [
        (-1, 0),
        (0, -1),
        (1, 0),
        (0, 1),
        (-1, -1),
        (-1, 1),
        (1, -1),
        (1, 1),
    ];
    let moved = |order: Order, max: Order, (p, q): (isize, isize)| {
        let p = order.p.checked_add_signed(p).filter(|p| *p <= max.p)?;
        let q = order.q.checked_add_signed(q).filter(|q| *q <= max.q)?;
        Some(Order { p, q, ..order })
    };
    let mut all = Vec::with_capacity(17);
    for step in MOVES {
        let seasonal = moved(form.seasonal, longest.seasonal, step);
        all.extend(seasonal.map(|seasonal| Form { seasonal, ..*form }));
    }
    for step in MOVES {
        let order = moved(form.order, longest.order, step);
        all.extend(order.map(|order| Form { order, ..*form }));
    }
    if longest.constant {
        all.push(Form {
            constant: !form.constant,
            ..*form
        });
    }
    all
}
