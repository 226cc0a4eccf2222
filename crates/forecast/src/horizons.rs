//! The steps ahead at which models are judged and bands are kept.
//!
//! Judging at every step ahead would cost memory with the square of the horizon. A few anchors suffice, the first and
//! the last step among them; between two anchors weights and widths are interpolated over the root of the distance,
//! along which the error of a random walk grows evenly.

/// Anchors, and for each step its place between two of them.
#[derive(Debug, Clone)]
pub(crate) struct Horizons {
    anchors: Vec<usize>,
    places: Vec<Place>,
}

/// A step's place: after anchor `left` by `share` (0 to 1) of the way to the next one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    left: u16,
    right: u16,
    share: f32,
}

impl Place {
    /// What the anchors' values make at this place.
    pub(crate) fn blend(self, at_anchor: impl Fn(usize) -> f64) -> f64 {
        let left = at_anchor(usize::from(self.left));
        left + f64::from(self.share) * (at_anchor(usize::from(self.right)) - left)
    }
}

impl Horizons {
    /// Anchors at the whole of `steps` (1 or more), a half, a quarter, and the first step.
    pub(crate) fn sparse(steps: usize) -> Self {
        Self::at(vec![1, steps / 4, steps / 2, steps])
    }

    /// Anchors at the first step, the last one, and between them each some 1.4 times as far as the one before.
    pub(crate) fn dense(steps: usize) -> Self {
        let next = |&h: &usize| Some((h * 7 / 5).max(h + 1)).filter(|&h| h < steps);
        Self::at(std::iter::successors(Some(1), next).chain([steps]).collect())
    }

    fn at(mut anchors: Vec<usize>) -> Self {
        anchors.retain(|&h| h > 0);
        anchors.sort_unstable();
        anchors.dedup();
        let steps = *anchors.last().expect("the last step is an anchor");
        let places = (1..=steps).map(|h| place(&anchors, h)).collect();
        Self { anchors, places }
    }

    pub(crate) fn steps(&self) -> usize {
        self.places.len()
    }

    /// Rising, 1 = the next step; the last one is the whole horizon.
    pub(crate) fn anchors(&self) -> &[usize] {
        &self.anchors
    }

    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }
}

fn place(anchors: &[usize], step: usize) -> Place {
    let right = anchors.partition_point(|&h| h < step);
    let left = right.saturating_sub(1);
    let root = |h: usize| (h as f32).sqrt();
    let (from, to) = (root(anchors[left]), root(anchors[right]));
    let share = if to > from {
        (root(step) - from) / (to - from)
    } else {
        0.0
    };
    Place {
        left: left as u16,
        right: right as u16,
        share,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_hold_the_first_and_the_last_step_and_every_step_has_a_place() {
        for (steps, anchors) in [
            (1, vec![1]),
            (2, vec![1, 2]),
            (3, vec![1, 3]),
            (20, vec![1, 5, 10, 20]),
        ] {
            let horizons = Horizons::sparse(steps);
            assert_eq!(horizons.anchors(), anchors, "{steps}");
            for (place, h) in horizons.places().iter().zip(1..) {
                let blended = place.blend(|a| (anchors[a] as f64).sqrt());
                assert!(
                    (blended - f64::from(h).sqrt()).abs() < 1e-6,
                    "step {h} of {steps}"
                );
            }
        }
    }
}
