//! How good forecasts are on given folds of real series, and what they cost: `cargo xtask bench forecast --folds DIR`.
//!
//! A folder holds `folds.csv` (`dataset,series,start,cutoff,h,m`: train on the rows from `start` to before `cutoff`,
//! forecast the `h` after) and `series/<dataset>.csv` (one column a series, one row a step). What is forecast goes to a file
//! of `dataset,series,cutoff,model,step,mean,lo90,hi90,cpu_s`, so that any program can score it beside others. Scores
//! are printed as well: MASE, 90 % coverage and the scaled Winkler score, and coverage step by step over whole series.

// A command-line tool talks on stdout and stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod files;
mod forecaster;
mod score;

use std::path::PathBuf;

use anyhow::{Context, Result};

use files::{Folder, Forecasts};
use forecaster::Kind;
use score::Scores;

/// What the command line asks for. `cargo bench` adds `--bench`.
struct Args {
    folds: PathBuf,
    out: PathBuf,
    model: String,
    step_by_step: bool,
}

fn main() -> Result<()> {
    let Some(args) = args()? else {
        eprintln!("nothing to do without --folds DIR --out FILE [--model NAME] [--step-by-step]");
        return Ok(());
    };
    let folder = Folder::read(&args.folds)?;
    let kind = Kind::of(&args.model)?;
    let mut out = Forecasts::create(&args.out)?;
    let mut scores = Scores::default();
    for fold in folder.folds() {
        let (train, test) = folder.split(fold)?;
        let (forecast, cpu_s) = forecaster::timed(|| forecaster::forecast(&kind, train, fold))?;
        let forecast =
            forecast.with_context(|| format!("{} {} {}", fold.dataset, fold.series, fold.cutoff))?;
        out.write(fold, &args.model, &forecast, cpu_s)?;
        scores.add(fold, train, test, &forecast, cpu_s);
    }
    out.finish()?;
    print!("{}", scores.table(&args.model));
    if args.step_by_step {
        print!("{}", score::step_by_step(&folder, &args.model)?);
    }
    Ok(())
}

fn args() -> Result<Option<Args>> {
    let mut given = std::env::args().skip(1);
    let (mut folds, mut out) = (None, None);
    let (mut model, mut step_by_step) = ("auto".to_owned(), false);
    while let Some(name) = given.next() {
        let mut value = || given.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--folds" => folds = Some(PathBuf::from(value()?)),
            "--out" => out = Some(PathBuf::from(value()?)),
            "--model" => model = value()?,
            "--step-by-step" => step_by_step = true,
            "--bench" => {}
            _ => anyhow::bail!("{name} is not known"),
        }
    }
    let asked = folds.zip(out);
    Ok(asked.map(|(folds, out)| Args {
        folds,
        out,
        model,
        step_by_step,
    }))
}
