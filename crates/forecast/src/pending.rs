//! Forecasts whose time has not come.
//!
//! For each anchor `h` a ring of `h` rows: the row that comes due now is the one to be written for `h` steps ahead.
//! A row holds one value a column in single precision; NaN stands for "no forecast".

/// Rows of forecasts by anchor and due step.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    anchors: Vec<usize>,
    offsets: Vec<usize>,
    columns: usize,
    cells: Vec<f32>,
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
        let cells = vec![f32::NAN; rows * columns];
        Self {
            anchors: anchors.to_vec(),
            offsets,
            columns,
            cells,
            step: FIRST_STEP,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cells.fill(f32::NAN);
        self.step = FIRST_STEP;
    }

    /// The row due at the present step: read what was forecast for it, then write what is forecast from it.
    pub(crate) fn row(&mut self, anchor: usize) -> &mut [f32] {
        self.row_at(anchor, 0)
    }

    /// The row that was or will be due `age` steps before the present step.
    pub(crate) fn row_at(&mut self, anchor: usize, age: usize) -> &mut [f32] {
        let turn = ((self.step - age as u64) % self.anchors[anchor] as u64) as usize;
        let start = (self.offsets[anchor] + turn) * self.columns;
        &mut self.cells[start..start + self.columns]
    }

    /// All rows of one anchor.
    pub(crate) fn rows(&mut self, anchor: usize) -> impl Iterator<Item = &mut [f32]> {
        let start = self.offsets[anchor] * self.columns;
        let end = start + self.anchors[anchor] * self.columns;
        self.cells[start..end].chunks_exact_mut(self.columns)
    }

    /// Goes on to the next step.
    pub(crate) fn advance(&mut self) {
        self.step += 1;
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
                let cell = &mut pending.row(anchor)[0];
                assert!(
                    if step < h {
                        cell.is_nan()
                    } else {
                        *cell == (step - h) as f32
                    },
                    "{step} {h}"
                );
                *cell = step as f32;
            }
            pending.advance();
        }
    }
}
