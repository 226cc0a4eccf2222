//! What is on the screen while the load is on.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal, Write},
};

use foreshift_wire::{ForecastView, MoveState, NodeView};

use super::{
    events::Events,
    options::print,
    run::{Approach, Moment},
    setting::Setting,
};
use crate::load::Latency;

/// Shows a run each second.
pub(super) trait Show {
    /// Once a second.
    fn moment(&mut self, moment: &Moment<'_>) -> anyhow::Result<()>;
    /// Something happened to the cluster in that second.
    fn say(&mut self, second: u32, what: &str) -> anyhow::Result<()>;
    /// When the load is over.
    fn end(&mut self) -> anyhow::Result<()>;
}

/// One line on standard error: how far it is. Nothing where that is no terminal.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    prefix: String,
    seconds: u32,
    more_s: u32,
}

impl Quiet {
    /// Says which run it is, how long it lasts, and how much comes after it.
    pub(super) fn new(approach: Approach, number: usize, runs: usize, seconds: u32) -> Self {
        let prefix = format!("{number}/{runs} {}: ", approach.name());
        Self {
            prefix,
            seconds,
            more_s: (runs - number) as u32 * (seconds + 5),
        }
    }
}

impl Show for Quiet {
    fn moment(&mut self, moment: &Moment<'_>) -> anyhow::Result<()> {
        let mut err = std::io::stderr().lock();
        let second = moment.second;
        let left = self.seconds.saturating_sub(second) + self.more_s;
        let line = format!(
            "{}{second} s, {left} s left, {} answers",
            self.prefix,
            moment.record.answers()
        );
        if err.is_terminal() {
            write!(err, "\r\x1b[K{line}")?;
        } else if second.is_multiple_of(10) {
            writeln!(err, "{line}")?;
        }
        Ok(err.flush()?)
    }

    fn say(&mut self, _: u32, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut err = std::io::stderr().lock();
        if err.is_terminal() {
            write!(err, "\r\x1b[K")?;
        }
        Ok(err.flush()?)
    }
}

/// The live table, and above it what happened. Drawn over itself on a terminal; elsewhere one line a second.
#[derive(Debug)]
pub(super) struct Screen {
    events: Events,
    /// What is to be told above the table.
    said: Vec<String>,
    terminal: bool,
    lines: usize,
    samples: usize,
    seconds: u32,
}

impl Screen {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            events: Events::default(),
            said: Vec::new(),
            terminal: std::io::stdout().is_terminal(),
            lines: 0,
            samples: 0,
            seconds: setting.schedule.seconds(),
        }
    }

    fn rows(&mut self, moment: &Moment<'_>) -> Vec<Row> {
        let samples = moment.record.samples_from(self.samples);
        self.samples += samples.len();
        let names = moment.record.nodes();
        let latency = |node: &str| {
            let number = names.iter().position(|name| name == node)?;
            let of_node = samples.iter().filter(|s| usize::from(s.node) == number);
            Latency::of(of_node.map(|s| u64::from(s.latency_us)).collect())
        };
        let mut moved: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for each in moment.watch.moves.values().filter(|m| m.state == MoveState::Done) {
            moved.entry(each.to.as_str()).or_default().0 += 1;
            moved.entry(each.from.as_str()).or_default().1 += 1;
        }
        let nodes = moment.watch.pool.iter().flat_map(|pool| &pool.nodes);
        nodes
            .map(|node| {
                let id = node.spec.id.as_str();
                Row::new(node, moved.get(id).copied().unwrap_or_default(), latency(id))
            })
            .collect()
    }

    fn table(&self, moment: &Moment<'_>, rows: &[Row]) -> String {
        let left = self.seconds.saturating_sub(moment.second);
        let errors = moment.record.errors();
        let answers = moment.record.answers();
        let mut text = format!(
            "{} s, {left} s left   {answers} answers   {errors} errors\n",
            moment.second
        );
        text += "node   load  predicted  connections  moved in  moved out   response p50      p99\n";
        for row in rows {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{:<5}{:>6}{:>11}{:>13}{:>10}{:>11}{:>12} ms{:>6} ms",
                row.id,
                number(row.load),
                number(row.predicted),
                number(row.connections),
                row.moved.0,
                row.moved.1,
                number(row.latency.map(|l| l.p50_ms)),
                number(row.latency.map(|l| l.p99_ms)),
            );
        }
        text
    }
}

impl Show for Screen {
    fn moment(&mut self, moment: &Moment<'_>) -> anyhow::Result<()> {
        let mut text = String::new();
        if self.lines > 0 {
            let _ = write!(text, "\x1b[{}A\x1b[J", self.lines);
        }
        for (at_ms, line) in self.events.tell(&moment.watch.moves) {
            let at_s = at_ms.saturating_sub(moment.began_ms) as f64 / 1e3;
            let _ = writeln!(text, "{at_s:>6.1} s  {line}");
        }
        for line in self.said.drain(..) {
            let _ = writeln!(text, "{line}");
        }
        let rows = self.rows(moment);
        if self.terminal {
            let table = self.table(moment, &rows);
            self.lines = table.lines().count();
            text += &table;
        } else {
            let _ = write!(text, "{:>6} s ", moment.second);
            for row in &rows {
                let p99 = number(row.latency.map(|l| l.p99_ms));
                let _ = write!(
                    text,
                    "  {} {}→{} p99 {p99} ms",
                    row.id,
                    number(row.load),
                    number(row.predicted)
                );
            }
            text.push('\n');
        }
        print(&text)
    }

    fn say(&mut self, second: u32, what: &str) -> anyhow::Result<()> {
        self.said.push(format!("{:>6.1} s  {what}", f64::from(second)));
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.lines = 0;
        Ok(())
    }
}

/// One node's line.
#[derive(Debug)]
struct Row {
    id: String,
    load: Option<f64>,
    predicted: Option<f64>,
    connections: Option<f64>,
    moved: (u64, u64),
    latency: Option<Latency>,
}

impl Row {
    fn new(node: &NodeView, moved: (u64, u64), latency: Option<Latency>) -> Self {
        Self {
            id: node.spec.id.to_string(),
            load: node.load_score,
            predicted: node.forecast.as_ref().and_then(highest),
            connections: node.signals.connections,
            moved,
            latency,
        }
    }
}

/// The highest load score within the horizon that is exceeded one time in ten.
fn highest(forecast: &ForecastView) -> Option<f64> {
    let path = forecast.quantiles.iter().find(|path| path.q == 0.9)?;
    path.path.iter().copied().max_by(f64::total_cmp)
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.0}"))
}
