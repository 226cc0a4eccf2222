//! Files that lie beside the workspace, and how forecasts are scored.

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The text of a file beside the workspace, with a notice where it is absent.
pub(crate) fn shared(file: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            notice(&format!("skipped, {} cannot be read: {error}", path.display()));
            None
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test must say so, and figures are to be read"
)]
pub(crate) fn notice(text: &str) {
    eprintln!("{text}");
}

/// One named column of a CSV file, as far as it has numbers.
pub(crate) fn column(text: &str, name: &str) -> Vec<f64> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let index = header.split(',').position(|cell| cell.trim() == name);
    let index = index.unwrap_or_else(|| panic!("no column {name}"));
    lines
        .map_while(|line| line.split(',').nth(index)?.parse().ok())
        .collect()
}

pub(crate) fn mean_absolute(differences: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = differences.len().max(1) as f64;
    differences.map(f64::abs).sum::<f64>() / count
}

/// Seeded random numbers.
pub(crate) struct Source(Pcg64Mcg);

impl Source {
    pub(crate) fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.0.random(), self.0.random());
        (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    pub(crate) fn autoregression(&mut self, n: usize, coefficient: f64) -> Vec<f64> {
        let mut y = 0.0;
        let mut next = || {
            y = coefficient * y + self.normal();
            y
        };
        (0..n).map(|_| next()).collect()
    }
}

pub(crate) fn source(seed: u64) -> Source {
    Source(Pcg64Mcg::seed_from_u64(seed))
}
