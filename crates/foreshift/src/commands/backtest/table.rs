//! The report on one screen of 24 lines and 100 columns: the answer first, and only the figures that it rests on.
//!
//! The rest is for `--json`. A path or notes of more than usual length take more lines: they are not cut.

use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::Result;
use foreshift_forecast::{
    backtest::{Alarm, AlarmRow, Answer, EarlyWarning, HorizonScores, Report, Scores},
    series::Series,
};
use jiff::Timestamp;

use super::looked_at;
use crate::{
    forecaster::Brought,
    history::{History, duration::show},
    output::{Output, Rows, wrapped},
};

pub(super) fn print(
    out: &Output,
    history: &History,
    report: &Report,
    brought: Option<&Brought>,
    took: Duration,
) -> Result<()> {
    out.line(verdict(out, report))?;
    out.line("")?;
    out.line(heading(history, report, took))?;
    if let Some(brought) = brought {
        out.line(wrapped(&brought.shown(), WIDTH))?;
    }
    for note in &history.notes {
        out.line(wrapped(&format!("Note: {note}"), WIDTH))?;
    }
    out.line("")?;
    out.line(scores(report))?;
    if let Some(warning) = &report.early_warning {
        out.line("")?;
        out.line(alarms(warning, report))?;
    }
    Ok(())
}

const WIDTH: usize = 100;
const VERDICT_LINES: usize = 2;
/// Models of a smaller share of the origins are not named.
const SHARE_MIN: f64 = 0.01;

fn heading(history: &History, report: &Report, took: Duration) -> String {
    let series = &history.series;
    let share = report.missing as f64 / report.steps.max(1) as f64;
    let missing = match report.missing {
        0 => String::new(),
        missing => format!(", {missing} ({:.1} %) missing", share * 100.0),
    };
    let when = if history.has_times {
        range(series)
    } else {
        String::new()
    };
    let least = SHARE_MIN * report.origins as f64;
    let named = report
        .models
        .iter()
        .filter(|(_, origins)| *origins as f64 >= least);
    let models: Vec<String> = named.take(3).map(|model| of_origins(model, report)).collect();
    let forecasts = format!(
        "{} forecasts {} ahead in {:.1} s, {} steps only learned from, by {}",
        report.origins,
        length(report, report.horizon),
        took.as_secs_f64(),
        report.warm_up,
        models.join(", ")
    );
    let steps = format!("{} steps of {}{when}{missing}", report.steps, show(report.step));
    format!("{}\n{steps}\n{}", history.name, wrapped(&forecasts, WIDTH))
}

fn of_origins((name, origins): &(String, u64), report: &Report) -> String {
    let share = *origins as f64 / report.origins.max(1) as f64;
    format!("{name} ({:.0} %)", share * 100.0)
}

fn range(series: &Series) -> String {
    let shown = |at_ms| {
        let at = Timestamp::from_millisecond(at_ms);
        at.map_or_else(|_| "-".into(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
    };
    let last = series.at_ms(series.len().saturating_sub(1));
    format!(", {} to {} UTC", shown(series.start_ms()), shown(last))
}

/// A number of steps as a time.
fn length(report: &Report, steps: usize) -> String {
    show(
        report
            .step
            .saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)),
    )
}

fn scores(report: &Report) -> String {
    let seasonal = report.seasonal_naive.as_ref();
    let season = seasonal.map(|(period, _)| format!(">as {} before", length(report, *period)));
    let mut columns = vec!["", ">ahead", ">forecast", ">persistence"];
    columns.extend(season.as_deref());
    // With a threshold alarms decide, and the table of errors needs no more columns.
    let level = report.early_warning.is_none().then_some(&report.smoothed_level);
    let level_name = level.map(|(steps, _)| format!(">mean of {}", length(report, *steps)));
    columns.extend(level_name.as_deref());
    let mut rows = Rows::new(&columns);
    let all: Vec<&Scores> = [&report.forecast, &report.persistence]
        .into_iter()
        .chain(seasonal.map(|(_, scores)| scores))
        .chain(level.map(|(_, scores)| scores))
        .collect();
    let mut line = |name: &str, step: Option<usize>, of: &dyn Fn(&HorizonScores) -> Option<String>| {
        let ahead = step.map_or("all".into(), |step| length(report, step + 1));
        let cell = |scores: &&Scores| {
            let score = step.map_or(&scores.overall, |step| &scores.by_horizon[step]);
            of(score).unwrap_or_else(|| "-".into())
        };
        rows.add([name.to_owned(), ahead].into_iter().chain(all.iter().map(cell)));
    };
    for (i, step) in looked_at(report.horizon).into_iter().enumerate() {
        let name = if i == 0 { "error (MASE)" } else { "" };
        line(name, Some(step), &|score| {
            Some(format!("{:.3}", report.mase(score.mae)?))
        });
    }
    line("error (sMAPE)", None, &|score| {
        Some(format!("{:.1} %", score.smape))
    });
    line("weighted quantile loss", None, &|score| {
        Some(format!("{:.4}", score.weighted_quantile_loss?))
    });
    line("in the 90 % band", None, &|score| {
        Some(percent(score.band_coverage?))
    });
    let q90 = report.quantiles.iter().position(|q| (q - 0.9).abs() < 1e-9);
    line("under the 0.9 path", None, &|score| {
        Some(percent(*score.coverage.get(q90?)?))
    });
    rows.text()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Four significant figures.
fn figures(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e7).contains(&size) => format!("{value:.3e}"),
        size if size >= 1e3 => format!("{value:.0}"),
        size => format!("{value:.*}", (3.0 - size.log10().floor()).max(0.0) as usize),
    }
}

fn alarms(warning: &EarlyWarning, report: &Report) -> String {
    let mut rows = Rows::new(&[
        "alarm on",
        ">foreseen",
        ">missed",
        ">lead median",
        ">lead min",
        ">false alarms",
        ">on",
    ]);
    for (name, row) in shown_alarms(warning) {
        rows.add(alarm(name, row, report));
    }
    let rest = length(report, warning.rest_steps);
    format!(
        "{} overload{}: above {}, until at or under it for {rest}\n{}",
        warning.overloads,
        if warning.overloads == 1 { "" } else { "s" },
        figures(warning.threshold),
        rows.text()
    )
}

/// Those that plans use, and of either kind the one that did best.
fn shown_alarms(warning: &EarlyWarning) -> Vec<(String, &AlarmRow)> {
    let usual = [warning.predicted(0.9), warning.present(0.9)];
    let best = [warning.best_predicted(), warning.best_present()];
    let mut shown = Vec::new();
    for (usual, best) in usual.into_iter().zip(best) {
        let is_usual_best = usual == best;
        for (row, is_best) in [(usual, is_usual_best), (best.filter(|_| !is_usual_best), true)] {
            let mark = if is_best { ", best in hindsight" } else { "" };
            shown.extend(row.map(|row| (format!("{} above{mark}", level(row)), row)));
        }
    }
    shown
}

fn level(row: &AlarmRow) -> String {
    match row.alarm {
        Alarm::Present { share } => format!("load {:.0} %", share * 100.0),
        Alarm::Predicted { quantile } => format!("{quantile} path"),
    }
}

fn alarm(name: String, row: &AlarmRow, report: &Report) -> [String; 7] {
    let tally = &row.tally;
    let lead = |steps: Option<usize>| steps.map_or("-".into(), |steps| length(report, steps));
    [
        name,
        tally.foreseen.to_string(),
        tally.missed.to_string(),
        lead(tally.lead_median()),
        lead(tally.lead_min()),
        tally.false_alarms.to_string(),
        percent(tally.on_share()),
    ]
}

fn verdict(out: &Output, report: &Report) -> String {
    let (colour, text) = match report.verdict.answer {
        Answer::Helps => (AnsiColor::Green, "Prediction helps here"),
        Answer::HelpsOnly => (AnsiColor::Yellow, "Prediction helps here under a condition"),
        Answer::WillNotHelp => (AnsiColor::Red, "Prediction will not help here"),
        Answer::CannotTell => (
            AnsiColor::Yellow,
            "This history does not tell whether prediction helps",
        ),
    };
    let text = out.paint(colour, text);
    let reasons = &report.verdict.reasons;
    let shown = |count: usize| wrapped(&format!("{text}: {}", reasons[..count].join("; ")), WIDTH);
    // The other reasons are read off the table of alarms, where there is one.
    let lines_max = report
        .early_warning
        .as_ref()
        .map_or(usize::MAX, |_| VERDICT_LINES);
    let fitting = (1..=reasons.len()).rev().map(shown);
    let mut fitting = fitting.skip_while(|text| text.lines().count() > lines_max);
    fitting.next().unwrap_or_else(|| shown(reasons.len().min(1)))
}
