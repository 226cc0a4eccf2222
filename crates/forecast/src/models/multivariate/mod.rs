//! A node's load score from its signals: what one of them announces, another will show.
//!
//! Requests arrive before the CPU is busy with them, and connections before either. So the change of the score over
//! each of a few distances is regressed on the score's own recent course and on that of each signal: a direct forecast
//! for each distance rather than one step iterated, which would need a forecast of the signals as well and could not
//! see further than it has lags.
//!
//! All distances share their inputs, and the gain of recursive least squares depends on nothing else. So one covariance
//! serves them all: the gain of a step is kept until the score that it is about has come, which is the very recursion
//! for each distance, only later ([`delayed`]). An update costs some `2 N²` multiplications whatever the horizon.
//!
//! Constants, caps and scaling are those of [`Autoregression`](super::Autoregression), for the same reasons.

mod delayed;
mod input;

use super::{Forecaster, believable, range::Range};
use crate::Signal;
use delayed::Delayed;
use input::Input;

/// The score by autoregression with exogenous inputs (ARX), a direct forecast for each of a few distances; between them
/// it is interpolated. Recursive least squares with forgetting (Haykin, *Adaptive Filter Theory*, ch. 10).
///
/// Ready once it has been shown signals and has seen enough; where signals stop coming it is no longer. A single one that
/// is absent counts as at its mean. Some 6 KiB for five signals and 20 steps.
#[derive(Debug, Clone)]
pub struct Multivariate {
    /// Indices into the slice of [`Forecaster::update_with`].
    indices: Vec<usize>,
    score: Input,
    signals: Vec<Input>,
    range: Option<Range>,
    inputs: Vec<f64>,
    learner: Delayed,
    distances: Vec<usize>,
}

/// Farthest step that is learned; beyond it the path stays where it is.
const STEPS_MAX: usize = 64;
/// Inputs made from the score; a signal makes two.
const OWN_INPUTS: usize = 4;
/// Largest number of signals: the cost grows with its square.
const SIGNALS_MAX: usize = 8;

impl Multivariate {
    /// For a horizon of `steps` (1 to 64; nearer or farther is brought to the nearest) from the signals at `indices` of
    /// what [`Forecaster::update_with`] is given, eight at most; more are left out.
    pub fn new(steps: usize, indices: &[usize]) -> Self {
        let indices: Vec<usize> = indices.iter().copied().take(SIGNALS_MAX).collect();
        let distances = distances(steps.clamp(1, STEPS_MAX));
        let inputs = OWN_INPUTS + 2 * indices.len();
        Self {
            score: Input::default(),
            signals: vec![Input::default(); indices.len()],
            range: None,
            inputs: vec![0.0; inputs],
            learner: Delayed::new(inputs, &distances),
            distances,
            indices,
        }
    }

    /// From CPU, memory, requests per second, response time and connections, as a
    /// [`Predictor`](crate::Predictor) hands them on.
    pub fn of_node_signals(steps: usize) -> Self {
        let named = [
            Signal::Cpu,
            Signal::Memory,
            Signal::RequestsPerS,
            Signal::ResponseMsP99,
            Signal::Connections,
        ];
        let place = |signal: &Signal| Signal::ALL.iter().position(|other| other == signal);
        Self::new(steps, &named.iter().filter_map(place).collect::<Vec<_>>())
    }

    fn observe_score(&mut self, y: Option<f64>) {
        let Some(y) = believable(y) else {
            self.score.observe(None);
            self.learner.skip();
            return;
        };
        self.learner.learn(y);
        self.score.observe(Some(y));
        match &mut self.range {
            Some(range) => range.observe(y),
            range => *range = Some(Range::at(y)),
        }
        self.gather();
        self.learner.push(y, self.score.size(), &self.inputs);
    }

    fn gather(&mut self) {
        let (own, of_signals) = self.inputs.split_at_mut(OWN_INPUTS);
        own.copy_from_slice(&self.score.course());
        for (pair, signal) in of_signals.chunks_exact_mut(2).zip(&self.signals) {
            pair.copy_from_slice(&signal.level_and_change());
        }
    }
}

/// Distances that are learned, up to `steps`: dense where the near future is, as Fibonacci's numbers are.
fn distances(steps: usize) -> Vec<usize> {
    let mut distances = vec![1];
    let (mut a, mut b) = (1, 2);
    while b < steps {
        distances.push(b);
        (a, b) = (b, a + b);
    }
    if steps > 1 {
        distances.push(steps);
    }
    distances
}

impl Forecaster for Multivariate {
    fn name(&self) -> &str {
        "multivariate"
    }

    fn update(&mut self, y: Option<f64>) {
        self.update_with(y, &[]);
    }

    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        for (input, &index) in self.signals.iter_mut().zip(&self.indices) {
            input.observe(believable(signals.get(index).copied().flatten()));
        }
        self.observe_score(y);
    }

    fn forecast(&self, path: &mut [f64]) {
        let (Some(newest), Some(range)) = (self.score.newest(), self.range) else {
            path.fill(0.0);
            return;
        };
        let (low, high) = range.bounds();
        let size = self.score.size();
        let at = |d: usize| (newest + size * self.learner.expected(d, &self.inputs)).clamp(low, high);
        let (mut from, mut begin) = (newest, 0);
        for (d, &distance) in self.distances.iter().enumerate() {
            let to = at(d);
            for step in begin..distance.min(path.len()) {
                let share = (step + 1 - begin) as f64 / (distance - begin) as f64;
                path[step] = from + share * (to - from);
            }
            (from, begin) = (to, distance);
        }
        if let Some(rest) = path.get_mut(begin..) {
            rest.fill(from);
        }
    }

    fn reset(&mut self) {
        *self = Self::new(*self.distances.last().unwrap_or(&1), &self.indices);
    }

    fn is_ready(&self) -> bool {
        self.signals.iter().any(Input::is_fresh) && self.learner.learned() >= 2 * self.inputs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The score follows the signal `lead` steps later.
    fn led(t: usize, lead: usize) -> (f64, f64) {
        let wave = |t: usize| 50.0 + 25.0 * ((t * t / 7) as f64 * 0.013).sin() + ((t * 7_919) % 11) as f64;
        (wave(t), wave(t + lead))
    }

    #[test]
    fn the_distances_rise_to_the_horizon() {
        for (steps, expected) in [
            (1, vec![1]),
            (2, vec![1, 2]),
            (5, vec![1, 2, 3, 5]),
            (20, vec![1, 2, 3, 5, 8, 13, 20]),
        ] {
            assert_eq!(distances(steps), expected);
        }
    }

    #[test]
    fn a_signal_that_runs_ahead_tells_the_score_at_that_distance() {
        let mut model = Multivariate::new(5, &[0]);
        let (mut error, mut persistence) = (0.0, 0.0);
        for t in 0..1_500 {
            let (y, s) = led(t, 5);
            model.update_with(Some(y), &[Some(s)]);
            if t > 400 {
                let mut path = [0.0; 5];
                model.forecast(&mut path);
                error += (path[4] - led(t + 5, 5).0).abs();
                persistence += (y - led(t + 5, 5).0).abs();
            }
        }
        assert!(error < 0.1 * persistence, "{error} of {persistence}");
    }

    #[test]
    fn without_signals_it_says_nothing_and_when_they_stop_it_stops() {
        let mut model = Multivariate::new(10, &[0, 3]);
        (0..500).for_each(|t| model.update(Some(led(t, 0).0)));
        assert!(!model.is_ready());
        for t in 0..100 {
            model.update_with(Some(led(t, 2).0), &[Some(led(t, 2).1)]);
        }
        assert!(model.is_ready());
        (0..50).for_each(|t| model.update(Some(led(t, 0).0)));
        assert!(!model.is_ready());
    }

    #[test]
    fn signals_that_repeat_each_other_or_stand_still_leave_it_bounded() {
        let mut model = Multivariate::new(20, &[0, 1, 2]);
        for t in 0..50_000 {
            let y = if t % 1_000 < 500 { 40.0 } else { led(t, 0).0 };
            model.update_with(Some(y), &[Some(y), Some(2.0 * y), Some(7.0)]);
            let mut path = [0.0; 20];
            model.forecast(&mut path);
            assert!(path.iter().all(|y| (-200.0..300.0).contains(y)), "{t}: {path:?}");
        }
    }
}
