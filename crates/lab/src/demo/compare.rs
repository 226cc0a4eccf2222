//! The same recorded load with moves off, reactive and predictive.

use std::fmt::Write;

use tokio::sync::watch;

use super::{
    DemoOptions, Summary,
    live::Quiet,
    options::print,
    run::{self, Approach},
    setting::Setting,
};

/// Plays all three and prints them beside each other. Interrupted, it prints what it has.
pub(super) async fn compare(
    options: &DemoOptions,
    setting: &Setting,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if !options.json {
        print(&setting.describe())?;
    }
    let runs = Approach::ALL.len();
    let mut summaries = Vec::new();
    for (number, approach) in Approach::ALL.into_iter().enumerate() {
        let mut quiet = Quiet::new(approach, number + 1, runs, setting.schedule.seconds());
        summaries.push(run::run(options, setting, approach, &mut quiet, stop.clone()).await?);
        if *stop.borrow() {
            break;
        }
    }
    match options.json {
        true => print(&(serde_json::to_string_pretty(&summaries)? + "\n")),
        false => print(&side_by_side(&summaries)),
    }
}

fn side_by_side(summaries: &[Summary]) -> String {
    let mut text = format!("\n{:<38}", "");
    for summary in summaries {
        // Writing to a string does not fail.
        let _ = write!(text, "{:>14}", summary.approach.name());
    }
    text.push('\n');
    let columns: Vec<_> = summaries.iter().map(Summary::rows).collect();
    for (row, (name, _)) in columns.first().into_iter().flatten().enumerate() {
        let _ = write!(text, "{name:<38}");
        for column in &columns {
            let _ = write!(text, "{:>14}", column[row].1);
        }
        text.push('\n');
    }
    for summary in summaries {
        if let Some(error) = &summary.first_error {
            let _ = writeln!(text, "first error ({}): {error}", summary.approach.name());
        }
    }
    text
}
