//! How far something long has come and how long it will take, on standard error where that is a terminal.
//!
//! Shown only once it has taken two seconds: what is quick needs no bar that flashes up.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const QUIET: Duration = Duration::from_secs(2);
/// Most steps between two looks at the clock.
const EVERY_MAX: u64 = 256;

/// Progress towards a number of steps.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    every: u64,
    started: Instant,
    is_terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total,
            every: (total / 1_000).clamp(1, EVERY_MAX),
            started: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
            bar: None,
        }
    }

    /// So many steps are done.
    pub(crate) fn at(&mut self, done: u64) {
        if !self.is_terminal || !done.is_multiple_of(self.every) {
            return;
        }
        if self.bar.is_none() && self.started.elapsed() >= QUIET {
            self.bar = Some(bar(self.what, self.total));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Takes the bar away and answers how long it took.
    pub(crate) fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

fn bar(what: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {percent} %, {eta} left");
    let bar = ProgressBar::new(total).with_message(what);
    // A template that is wrong would be a mistake of ours; the default bar does as well.
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
