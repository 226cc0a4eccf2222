//! Forecasts whose time has not come.
//!
//! For each anchor `h` a ring of `h` rows: the row that comes due now is the one to be written for `h` steps ahead.
//! A row holds one value a column, as its difference from the row's base, the observation it was made from: so two
//! bytes a value are enough whatever the series' level. NaN stands for "no forecast".

use crate::half::Half;

/// Rows of forecasts by anchor and due step.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    anchors: Vec<usize>,
    offsets: Vec<usize>,
    columns: usize,
    cells: Vec<Half>,
    /// By row.
    bases: Vec<f32>,
    /// The step that comes next; far from 0, so that steps before the first can be named.
    step: u64,
}

const FIRST_STEP: u64 = 1 << 32;

impl Pending {
    pub(crate) fn new(anchors: &[usize], columns: usize) -> Self {
        let starts = anchors
            .iter()
            .scan(0, |rows, h| Some(std::mem::replace(rows, *rows + h)));
        let offsets = starts.collect();
        let rows: usize = anchors.iter().sum();
        Self {
            anchors: anchors.to_vec(),
            offsets,
            columns,
            cells: vec![Half::NAN; rows * columns],
            bases: vec![0.0; rows],
            step: FIRST_STEP,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cells.fill(Half::NAN);
        self.step = FIRST_STEP;
    }

    /// The row due at the present step: read what was forecast for it, then write what is forecast from it.
    pub(crate) fn row(&mut self, anchor: usize) -> Row<'_> {
        self.row_at(anchor, 0)
    }

    /// The row that was or will be due `age` steps before the present step.
    pub(crate) fn row_at(&mut self, anchor: usize, age: usize) -> Row<'_> {
        let turn = ((self.step - age as u64) % self.anchors[anchor] as u64) as usize;
        self.row_of(self.offsets[anchor] + turn)
    }

    fn row_of(&mut self, row: usize) -> Row<'_> {
        let start = row * self.columns;
        Row {
            base: &mut self.bases[row],
            cells: &mut self.cells[start..start + self.columns],
        }
    }

    /// Lets `each` change all rows of one anchor.
    pub(crate) fn rows(&mut self, anchor: usize, mut each: impl FnMut(Row<'_>)) {
        let first = self.offsets[anchor];
        (first..first + self.anchors[anchor]).for_each(|row| each(self.row_of(row)));
    }

    /// Goes on to the next step.
    pub(crate) fn advance(&mut self) {
        self.step += 1;
    }
}

/// What is forecast for one step, one column a forecaster.
pub(crate) struct Row<'a> {
    base: &'a mut f32,
    cells: &'a mut [Half],
}

impl Row<'_> {
    /// Begins anew from the observation `base`: no column has a forecast.
    pub(crate) fn begin(&mut self, base: f64) {
        *self.base = base as f32;
        self.cells.fill(Half::NAN);
    }

    /// NaN where there is none.
    pub(crate) fn get(&self, column: usize) -> f64 {
        f64::from(*self.base) + self.cells[column].get()
    }

    /// NaN clears it.
    pub(crate) fn set(&mut self, column: usize, forecast: f64) {
        self.cells[column] = Half::new(forecast - f64::from(*self.base));
    }

    /// A size that was kept by [`set_size`](Self::set_size).
    pub(crate) fn size(&self, column: usize) -> f64 {
        self.cells[column].get()
    }

    /// Keeps a size, which is no forecast: it has nothing to do with the base.
    pub(crate) fn set_size(&mut self, column: usize, size: f64) {
        self.cells[column] = Half::new(size);
    }

    /// The observation as this row would have kept it: equal to a forecast that was exactly right.
    pub(crate) fn as_kept(&self, y: f64) -> f64 {
        f64::from(*self.base) + Half::new(y - f64::from(*self.base)).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_due_as_many_steps_later_as_its_anchor_says() {
        let mut pending = Pending::new(&[1, 3], 1);
        for step in 0..10 {
            for (anchor, h) in [(0, 1), (1, 3)] {
                let mut row = pending.row(anchor);
                let due = row.get(0);
                assert!(if step < h {
                    due.is_nan()
                } else {
                    due == (step - h) as f64
                });
                row.begin(step as f64);
                assert!(row.get(0).is_nan());
                row.set(0, step as f64);
            }
            pending.advance();
        }
    }

    #[test]
    fn a_high_level_costs_no_precision() {
        let mut pending = Pending::new(&[1], 2);
        let mut row = pending.row(0);
        row.begin(1e12 + 1.0);
        row.set(0, 1e12 + 101.0);
        assert!((row.get(0) - 1e12 - 101.0).abs() < 300.0, "{}", row.get(0));
        assert_eq!(row.as_kept(1e12 + 101.0), row.get(0));
        row.set(0, f64::NAN);
        assert!(row.get(0).is_nan());
    }
}
