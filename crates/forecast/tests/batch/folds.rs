//! On the folds of a benchmark: as good as the golden forecasts of statsforecast 2.1.1, or the same.

use std::collections::HashMap;

use foreshift_forecast::{
    Fit,
    batch::{Arima, Ets, Mstl, Naive, SeasonalNaive, Theta},
};

use crate::common::{column, mean_absolute, notice, shared};

/// A training window, what came then, and what statsforecast said.
struct Fold {
    name: String,
    train: Vec<f64>,
    truth: Vec<f64>,
    period: usize,
    /// By model.
    goldens: HashMap<String, Vec<f64>>,
}

impl Fold {
    fn scale(&self) -> f64 {
        let pairs = self.train.iter().zip(&self.train[self.period..]);
        mean_absolute(pairs.map(|(old, new)| new - old))
    }

    fn mase(&self, forecast: &[f64]) -> f64 {
        mean_absolute(forecast.iter().zip(&self.truth).map(|(f, y)| f - y)) / self.scale()
    }

    /// Mean absolute difference of two forecasts, in units of MASE.
    fn difference(&self, forecast: &[f64], model: &str) -> f64 {
        let golden = &self.goldens[model];
        mean_absolute(forecast.iter().zip(golden).map(|(f, g)| f - g)) / self.scale()
    }
}

const SETS: [&str; 3] = ["azure_llm_1s", "worldcup98_1min", "nab_cloudwatch_5min"];

/// The folds of one set whose scale is not 0; none where the files are absent.
fn folds(set: &str) -> Vec<Fold> {
    let files = [
        "bench/folds.csv".to_owned(),
        format!("bench/series/{set}.csv"),
        format!("bench/raw/{set}.csv"),
    ];
    let [Some(list), Some(series), Some(raw)] = files.map(|file| shared(&file)) else {
        return Vec::new();
    };
    let mut goldens: HashMap<(&str, &str), HashMap<String, Vec<f64>>> = HashMap::new();
    for line in raw.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let models = goldens.entry((cells[1], cells[2])).or_default();
        let mean = cells[5].parse().unwrap_or(f64::NAN);
        models.entry(cells[3].to_owned()).or_default().push(mean);
    }
    let fold = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<usize>().expect("a whole number");
        let (start, cutoff, horizon, period) = (number(2), number(3), number(4), number(5));
        let values = column(&series, cells[1]);
        Fold {
            name: format!("{} before {cutoff}", cells[1]),
            train: values[start..cutoff].to_vec(),
            truth: values[cutoff..cutoff + horizon].to_vec(),
            period,
            goldens: goldens[&(cells[1], cells[3])].clone(),
        }
    };
    let of_the_set = list.lines().filter(|line| line.split(',').next() == Some(set));
    of_the_set.map(fold).filter(|fold| fold.scale() > 1e-9).collect()
}

fn forecast(model: &dyn Fit, fold: &Fold) -> Vec<f64> {
    let fitted = model
        .fit(&fold.train)
        .unwrap_or_else(|error| panic!("{}: {error}", fold.name));
    fitted.predict(fold.truth.len(), &[0.05, 0.95]).point().to_vec()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Mean MASE of a model and of a golden one over a set.
fn compare(set: &str, golden: &str, model: impl Fn(usize) -> Box<dyn Fit>) -> Option<(f64, f64)> {
    let folds = folds(set);
    if folds.is_empty() {
        return None;
    }
    let score = |fold: &Fold| fold.mase(&forecast(&*model(fold.period), fold));
    let ours = mean(&folds.iter().map(score).collect::<Vec<_>>());
    let theirs = mean(
        &folds
            .iter()
            .map(|fold| fold.mase(&fold.goldens[golden]))
            .collect::<Vec<_>>(),
    );
    notice(&format!(
        "{set}: MASE {ours:.4}, statsforecast's {golden} {theirs:.4}"
    ));
    Some((ours, theirs))
}

#[test]
fn naive_models_are_the_golden_ones() {
    for set in SETS {
        for fold in folds(set) {
            let difference = fold.difference(&forecast(&Naive, &fold), "Naive");
            assert!(difference < 1e-3, "{set}, {}: {difference}", fold.name);
            if fold.period > 1 {
                let found = forecast(&SeasonalNaive::new(fold.period), &fold);
                let difference = fold.difference(&found, "SeasonalNaive");
                assert!(difference < 1e-3, "{set}, {}: {difference}", fold.name);
            }
        }
    }
}

#[test]
fn theta_is_about_as_good_as_the_best_of_four_thetas() {
    for (set, worse_by_max) in SETS.into_iter().zip([0.03, 0.03, 0.03]) {
        let theta = |period| Box::new(Theta::new(Some(period))) as Box<dyn Fit>;
        if let Some((ours, theirs)) = compare(set, "AutoTheta", theta) {
            assert!(ours <= theirs + worse_by_max, "{set}: {ours} against {theirs}");
        }
    }
}

#[test]
fn ets_is_the_golden_one() {
    for set in SETS {
        let mut worst = (0.0, String::new());
        let mut scores = Vec::new();
        // The search takes a while where it is not optimised: a third of the folds then.
        let every = if cfg!(debug_assertions) { 3 } else { 1 };
        for fold in folds(set).into_iter().step_by(every) {
            let found = forecast(&Ets::auto(), &fold);
            scores.push(fold.mase(&found));
            let difference = fold.difference(&found, "AutoETS");
            if difference > worst.0 {
                worst = (difference, fold.name);
            }
        }
        notice(&format!(
            "{set}: ETS has MASE {:.4}, at most {:.5} off the golden one: {}",
            mean(&scores),
            worst.0,
            worst.1
        ));
        assert!(worst.0 < 0.001, "{set}: {worst:?}");
    }
}

#[test]
fn mstl_is_about_as_good_as_the_golden_one() {
    for set in ["worldcup98_1min", "nab_cloudwatch_5min"] {
        let mstl = |period| Box::new(Mstl::new(vec![period])) as Box<dyn Fit>;
        if let Some((ours, theirs)) = compare(set, "MSTL", mstl) {
            assert!(ours <= theirs + 0.02, "{set}: {ours} against {theirs}");
        }
    }
}

#[test]
fn arima_is_as_good_as_the_golden_one() {
    for set in SETS {
        let folds = folds(set);
        let score = |fold: &Fold| {
            (
                fold.mase(&forecast(&Arima::auto(), fold)),
                fold.mase(&fold.goldens["AutoARIMA"]),
            )
        };
        let (ours, theirs): (Vec<f64>, Vec<f64>) = folds.iter().map(score).unzip();
        let worse = ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs);
        let worst = worse.fold(0.0, f64::max);
        let (ours, theirs) = (mean(&ours), mean(&theirs));
        notice(&format!(
            "{set}: ARIMA has MASE {ours:.4}, the golden one {theirs:.4}; on one fold {worst:.3} more"
        ));
        assert!(ours <= 1.02 * theirs, "{set}: {ours} against {theirs}");
        assert!(worst <= 1.0, "{set}: {worst} worse on one fold");
    }
}
