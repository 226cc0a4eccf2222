//! The files: folds and series in, forecasts out.

use std::{collections::BTreeMap, fs::File, path::Path};

use anyhow::{Context, Result, ensure};

use crate::forecaster::Forecast;

/// Train on `[start, cutoff)`, forecast `[cutoff, cutoff + h)`.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Fold {
    pub(crate) dataset: String,
    pub(crate) series: String,
    pub(crate) start: usize,
    pub(crate) cutoff: usize,
    pub(crate) h: usize,
    /// Steps of the season, 1 for none.
    pub(crate) m: usize,
}

/// One folder's folds and series.
pub(crate) struct Folder {
    folds: Vec<Fold>,
    /// By data set and name.
    series: BTreeMap<(String, String), Vec<f64>>,
}

impl Folder {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = path.join("folds.csv");
        let mut reader = csv::Reader::from_path(&file).with_context(|| format!("read {}", file.display()))?;
        let folds: Vec<Fold> = reader
            .deserialize()
            .collect::<Result<_, _>>()
            .with_context(|| format!("read {}", file.display()))?;
        ensure!(!folds.is_empty(), "{} holds no folds", file.display());
        let mut series = BTreeMap::new();
        let mut datasets: Vec<&str> = folds.iter().map(|fold| fold.dataset.as_str()).collect();
        datasets.sort_unstable();
        datasets.dedup();
        for dataset in datasets {
            let file = path.join("series").join(dataset).with_extension("csv");
            let columns = columns(&file).with_context(|| format!("read {}", file.display()))?;
            series.extend(
                columns
                    .into_iter()
                    .map(|(name, values)| ((dataset.to_owned(), name), values)),
            );
        }
        Ok(Self { folds, series })
    }

    pub(crate) fn folds(&self) -> &[Fold] {
        &self.folds
    }

    pub(crate) fn series(&self, fold: &Fold) -> Result<&[f64]> {
        let key = (fold.dataset.clone(), fold.series.clone());
        let values = self.series.get(&key);
        values.map(Vec::as_slice).with_context(|| {
            format!(
                "folds.csv names series {:?} of {:?}, which is not there",
                fold.series, fold.dataset
            )
        })
    }

    /// What may be seen, and what is to be forecast.
    pub(crate) fn split(&self, fold: &Fold) -> Result<(&[f64], &[f64])> {
        let values = self.series(fold)?;
        let end = fold.cutoff + fold.h;
        ensure!(
            fold.start < fold.cutoff && end <= values.len() && fold.h > 0,
            "fold {fold:?} does not fit into {} values",
            values.len()
        );
        Ok((&values[fold.start..fold.cutoff], &values[fold.cutoff..end]))
    }
}

/// The columns of a file, each as far as it has values.
fn columns(file: &Path) -> Result<Vec<(String, Vec<f64>)>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file)?;
    let mut columns: Vec<(String, Vec<f64>)> = reader
        .headers()?
        .iter()
        .map(|name| (name.to_owned(), Vec::new()))
        .collect();
    for record in reader.records() {
        for ((_, values), cell) in columns.iter_mut().zip(&record?) {
            if !cell.is_empty() {
                values.push(cell.parse().with_context(|| format!("{cell:?} is no number"))?);
            }
        }
    }
    Ok(columns)
}

/// The file of forecasts.
pub(crate) struct Forecasts(csv::Writer<File>);

impl Forecasts {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut writer = csv::Writer::from_path(path).with_context(|| format!("write {}", path.display()))?;
        writer.write_record([
            "dataset", "series", "cutoff", "model", "step", "mean", "lo90", "hi90", "cpu_s",
        ])?;
        Ok(Self(writer))
    }

    pub(crate) fn write(&mut self, fold: &Fold, model: &str, forecast: &Forecast, cpu_s: f64) -> Result<()> {
        let paths = forecast.mean.iter().zip(&forecast.low).zip(&forecast.high);
        for (step, ((mean, low), high)) in (1..).zip(paths) {
            let row = (&fold.dataset, &fold.series, fold.cutoff, model);
            self.0.serialize((row, step, mean, low, high, cpu_s))?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}
