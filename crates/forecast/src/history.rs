//! The newest observations of a series, in a fixed amount of memory.

/// A ring of single-precision values; NaN stands for "nothing was seen".
#[derive(Debug, Clone)]
pub(crate) struct History {
    ring: Box<[f32]>,
    next: usize,
    len: usize,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: vec![f32::NAN; capacity].into_boxed_slice(),
            next: 0,
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, y: Option<f64>) {
        self.ring[self.next] = y.map_or(f32::NAN, |y| y as f32);
        self.next = (self.next + 1) % self.ring.len();
        self.len = (self.len + 1).min(self.ring.len());
    }

    pub(crate) fn clear(&mut self) {
        (self.next, self.len) = (0, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `age` 0 is the newest; `None` beyond what is kept or where nothing was seen.
    pub(crate) fn ago(&self, age: usize) -> Option<f64> {
        if age >= self.len {
            return None;
        }
        let y = self.ring[(self.next + self.ring.len() - 1 - age) % self.ring.len()];
        (!y.is_nan()).then_some(f64::from(y))
    }

    /// Fills the front of `buffer`, oldest first, and returns that part; NaN where nothing was seen.
    pub(crate) fn copy_to<'a, const N: usize>(&self, buffer: &'a mut [f32; N]) -> &'a [f32] {
        let len = self.len.min(N);
        let start = (self.next + self.ring.len() - len) % self.ring.len();
        let first = len.min(self.ring.len() - start);
        buffer[..first].copy_from_slice(&self.ring[start..start + first]);
        buffer[first..len].copy_from_slice(&self.ring[..len - first]);
        &buffer[..len]
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        (0..self.len).rev().map(|age| self.ago(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_order() {
        let mut history = History::new(3);
        [Some(1.0), None, Some(3.0), Some(4.0)]
            .into_iter()
            .for_each(|y| history.push(y));
        assert_eq!(history.iter().collect::<Vec<_>>(), [None, Some(3.0), Some(4.0)]);
        assert_eq!((history.ago(0), history.ago(3)), (Some(4.0), None));
    }
}
