//! A figure with its goal, as a line or as JSON.

use std::fmt;

use anyhow::Result;

/// What a figure should be.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// It is told beside others.
    None,
}

#[derive(Debug, serde::Serialize)]
struct Figure {
    part: String,
    name: String,
    value: f64,
    unit: &'static str,
    goal: Goal,
    /// Not there without a goal.
    is_met: Option<bool>,
    /// Under which circumstances.
    note: String,
}

/// All figures of a run.
pub(crate) struct Figures {
    is_json: bool,
    part: String,
    all: Vec<Figure>,
}

impl Figures {
    pub(crate) fn new(is_json: bool) -> Self {
        let (part, all) = (String::new(), Vec::new());
        Self { is_json, part, all }
    }

    /// What comes is of this part.
    pub(crate) fn begin(&mut self, part: &str) {
        self.part = part.to_owned();
        self.say(format_args!("== {part}"));
    }

    /// Tells what is no figure.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        match self.is_json {
            true => eprintln!("{what}"),
            false => println!("{what}"),
        }
    }

    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &'static str, goal: Goal, note: String) {
        let is_met = match goal {
            Goal::AtMost(most) => Some(value <= most),
            Goal::AtLeast(least) => Some(value >= least),
            Goal::None => None,
        };
        let (part, name) = (self.part.clone(), name.to_owned());
        let figure = Figure {
            part,
            name,
            value,
            unit,
            goal,
            is_met,
            note,
        };
        self.say(format_args!("{figure}"));
        self.all.push(figure);
    }

    /// The run is over.
    pub(crate) fn end(&self) -> Result<()> {
        if self.is_json {
            println!("{}", serde_json::to_string_pretty(&self.all)?);
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            unit,
            note,
            ..
        } = self;
        let value = match value.abs() {
            100.0.. => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        };
        write!(f, "{name:<44} {value:>10} {unit:<10}")?;
        match (self.goal, self.is_met) {
            (Goal::AtMost(most), Some(met)) => write!(f, " goal <= {most:<8} {}", verdict(met))?,
            (Goal::AtLeast(least), Some(met)) => write!(f, " goal >= {least:<8} {}", verdict(met))?,
            _ => {}
        }
        match note.is_empty() {
            true => Ok(()),
            false => write!(f, "  ({note})"),
        }
    }
}

fn verdict(is_met: bool) -> &'static str {
    match is_met {
        true => "met",
        false => "MISSED",
    }
}
