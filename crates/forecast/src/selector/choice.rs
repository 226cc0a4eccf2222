//! Which models carry a forecast, and why.

use super::{slots::Slots, unit::UnitOfSeries};
use crate::pool::Pool;

/// Who speaks at the end of the horizon, and what is known of everybody.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The model with at least half of the weight, else `pool`.
    pub model: String,
    /// Why, for people.
    pub reason: String,
    /// All models, the heaviest first, then by loss.
    pub models: Vec<ModelStanding>,
}

/// How one model has done lately at the end of the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelStanding {
    /// The kind, or the form that was fitted.
    pub name: String,
    /// Share of the forecast, 0 to 1.
    pub weight: f64,
    /// Mean loss of late at the selection quantile, in units of the series; at 0.5 the mean absolute error.
    pub loss: Option<f64>,
    /// Why it says nothing, where that is known.
    pub refusal: Option<String>,
}

/// Models that are named in a reason.
const NAMED_MAX: usize = 3;

pub(super) fn of(pool: &Pool, slots: &Slots, unit: &UnitOfSeries) -> Choice {
    let mut models: Vec<ModelStanding> = pool
        .standings()
        .map(|(name, weight, loss)| ModelStanding {
            name: name.to_owned(),
            weight,
            loss: loss.map(|loss| unit.restore(loss)),
            refusal: None,
        })
        .collect();
    for (member, reason) in slots.refusals().chain(pool.faults()) {
        models[member].refusal = Some(reason.to_owned());
    }
    let persistence = models[0].loss;
    let rank = |m: &ModelStanding| (-m.weight, m.loss.unwrap_or(f64::INFINITY));
    models.sort_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal));
    Choice {
        model: pool.leader().to_owned(),
        reason: reason(&models, persistence),
        models,
    }
}

fn reason(models: &[ModelStanding], persistence: Option<f64>) -> String {
    let named = models.iter().filter(|m| m.weight > 0.0).take(NAMED_MAX);
    let named: Vec<String> = named
        .map(|m| format!("{} {:.0} %", m.name, 100.0 * m.weight))
        .collect();
    let best = models.iter().filter_map(|m| m.loss).reduce(f64::min);
    let beside = match (best, persistence) {
        (Some(best), Some(persistence)) if persistence > 0.0 => {
            format!(
                "; the best model's loss of late was {:.2} of that of the last value",
                best / persistence
            )
        }
        _ => "; too few forecasts have come true to tell models apart".into(),
    };
    format!("weighed by recent errors: {}{beside}", named.join(", "))
}
