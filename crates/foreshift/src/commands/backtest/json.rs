//! The report as JSON: everything that the table leaves out as well.

use std::time::Duration;

use foreshift_forecast::backtest::{Alarm, AlarmRow, Answer, EarlyWarning, HorizonScores, Report, Scores};
use serde::Serialize;

use crate::{forecaster::Brought, history::History};

#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    series: ShownSeries<'a>,
    horizon_steps: usize,
    warm_up_steps: usize,
    /// Forecasts, and origins without one.
    origins: u64,
    silent: u64,
    quantiles: &'a [f64],
    /// Mean absolute change from step to step: what MASE divides by.
    scale: Option<f64>,
    forecast: ShownScores<'a>,
    persistence: ShownScores<'a>,
    seasonal_naive: Option<Seasonal<'a>>,
    smoothed_level: Level<'a>,
    models: Vec<Model<'a>>,
    /// Where a model from a file was given.
    model_file: Option<&'a Brought>,
    early_warning: Option<Warning>,
    verdict: ShownVerdict<'a>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct ShownSeries<'a> {
    name: &'a str,
    /// Unix milliseconds; absent where the file has no times.
    start_ms: Option<i64>,
    step_ms: u64,
    steps: usize,
    missing: usize,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct ShownScores<'a> {
    overall: ShownScore<'a>,
    by_horizon: Vec<ShownScore<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownScore<'a> {
    count: u64,
    mae: f64,
    mase: Option<f64>,
    smape: f64,
    weighted_quantile_loss: Option<f64>,
    /// In the order of the quantiles.
    coverage: &'a [f64],
    coverage_of_90_band: Option<f64>,
    winkler_90: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Seasonal<'a> {
    period_steps: usize,
    #[serde(flatten)]
    scores: ShownScores<'a>,
}

#[derive(Debug, Serialize)]
struct Level<'a> {
    /// The mean of so many steps.
    length_steps: usize,
    #[serde(flatten)]
    scores: ShownScores<'a>,
}

#[derive(Debug, Serialize)]
struct Model<'a> {
    name: &'a str,
    origins: u64,
}

#[derive(Debug, Serialize)]
struct Warning {
    threshold: f64,
    overloads: u64,
    rest_steps: usize,
    alarms: Vec<ShownAlarm>,
}

#[derive(Debug, Serialize)]
struct ShownAlarm {
    /// `predicted` with a quantile, or `present` with a share of the threshold.
    kind: &'static str,
    at: f64,
    foreseen: u64,
    /// Of those, how many a quarter of the horizon before or sooner.
    in_time: u64,
    missed: u64,
    false_alarms: u64,
    lead_steps_median: Option<usize>,
    lead_steps_min: Option<usize>,
    calm_steps: u64,
    alarm_steps: u64,
    score: f64,
}

#[derive(Debug, Serialize)]
struct ShownVerdict<'a> {
    answer: &'static str,
    reasons: &'a [String],
}

impl<'a> Shown<'a> {
    pub(super) fn of(
        history: &'a History,
        report: &'a Report,
        brought: Option<&'a Brought>,
        took: Duration,
    ) -> Self {
        let scores = |scores: &'a Scores| ShownScores::of(scores, report);
        let seasonal = report.seasonal_naive.as_ref();
        Self {
            series: ShownSeries::of(history),
            horizon_steps: report.horizon,
            warm_up_steps: report.warm_up,
            origins: report.origins,
            silent: report.silent,
            quantiles: &report.quantiles,
            scale: report.scale,
            forecast: scores(&report.forecast),
            persistence: scores(&report.persistence),
            seasonal_naive: seasonal.map(|(period_steps, found)| Seasonal {
                period_steps: *period_steps,
                scores: scores(found),
            }),
            smoothed_level: Level {
                length_steps: report.smoothed_level.0,
                scores: scores(&report.smoothed_level.1),
            },
            models: report
                .models
                .iter()
                .map(|(name, origins)| Model {
                    name,
                    origins: *origins,
                })
                .collect(),
            model_file: brought,
            early_warning: report.early_warning.as_ref().map(Warning::of),
            verdict: ShownVerdict {
                answer: answer(report.verdict.answer),
                reasons: &report.verdict.reasons,
            },
            seconds: took.as_secs_f64(),
        }
    }
}

impl<'a> ShownSeries<'a> {
    fn of(history: &'a History) -> Self {
        let series = &history.series;
        Self {
            name: &history.name,
            start_ms: history.has_times.then(|| series.start_ms()),
            step_ms: series.step().as_millis() as u64,
            steps: series.len(),
            missing: series.missing(),
            notes: &history.notes,
        }
    }
}

impl<'a> ShownScores<'a> {
    fn of(scores: &'a Scores, report: &Report) -> Self {
        let shown = |score: &'a HorizonScores| ShownScore {
            count: score.count,
            mae: score.mae,
            mase: report.mase(score.mae),
            smape: score.smape,
            weighted_quantile_loss: score.weighted_quantile_loss,
            coverage: &score.coverage,
            coverage_of_90_band: score.band_coverage,
            winkler_90: score.winkler,
        };
        Self {
            overall: shown(&scores.overall),
            by_horizon: scores.by_horizon.iter().map(shown).collect(),
        }
    }
}

impl Warning {
    fn of(warning: &EarlyWarning) -> Self {
        Self {
            threshold: warning.threshold,
            overloads: warning.overloads,
            rest_steps: warning.rest_steps,
            alarms: warning.rows.iter().map(ShownAlarm::of).collect(),
        }
    }
}

impl ShownAlarm {
    fn of(row: &AlarmRow) -> Self {
        let (kind, at) = match row.alarm {
            Alarm::Predicted { quantile } => ("predicted", quantile),
            Alarm::Present { share } => ("present", share),
        };
        let tally = &row.tally;
        Self {
            kind,
            at,
            foreseen: tally.foreseen,
            in_time: tally.in_time(),
            missed: tally.missed,
            false_alarms: tally.false_alarms,
            lead_steps_median: tally.lead_median(),
            lead_steps_min: tally.lead_min(),
            calm_steps: tally.calm_steps,
            alarm_steps: tally.alarm_steps,
            score: tally.score(),
        }
    }
}

/// The answer's name in JSON.
fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Helps => "helps",
        Answer::HelpsOnly => "helps_only",
        Answer::WillNotHelp => "will_not_help",
        Answer::CannotTell => "cannot_tell",
    }
}
