//! Recursive least squares for several distances at once, learned when each distance's score has come.

/// Weights for each distance, one covariance for all, and the steps whose future is not known yet.
#[derive(Debug, Clone)]
pub(super) struct Delayed {
    inputs: usize,
    distances: Vec<usize>,
    /// `inputs` each.
    weights: Vec<f64>,
    /// `inputs` squared.
    covariance: Vec<f64>,
    spread: Vec<f64>,
    /// A ring of as many steps as the farthest distance.
    steps: Vec<Step>,
    /// Each step's inputs, then its gain; single precision, which is far under the noise.
    cells: Vec<f32>,
    next: usize,
    learned: usize,
}

/// A step of the ring.
#[derive(Debug, Clone, Copy)]
struct Step {
    y: f64,
    /// 0 where nothing can be learned from it.
    size: f64,
}

const NOTHING: Step = Step { y: 0.0, size: 0.0 };

/// Half is forgotten in 138 steps.
const FORGETTING: f64 = 0.995;
/// The covariance at first; small, so that little is believed until much has been seen.
const COVARIANCE_FIRST: f64 = 0.1;
/// Cap on each of the covariance's diagonal: what stands still tells nothing new, and is not to be believed all at once.
const COVARIANCE_MAX: f64 = 10.0;
/// Cap on one step's surprise, in units of the score's size.
const SURPRISE_MAX: f64 = 4.0;

impl Delayed {
    /// `distances` rise and are not empty.
    pub(super) fn new(inputs: usize, distances: &[usize]) -> Self {
        let length = distances.last().copied().unwrap_or(1);
        let mut new = Self {
            inputs,
            distances: distances.to_vec(),
            weights: vec![0.0; inputs * distances.len()],
            covariance: vec![0.0; inputs * inputs],
            spread: vec![0.0; inputs],
            steps: vec![NOTHING; length],
            cells: vec![0.0; 2 * inputs * length],
            next: 0,
            learned: 0,
        };
        new.begin();
        new
    }

    fn begin(&mut self) {
        self.weights.fill(0.0);
        self.covariance.fill(0.0);
        self.covariance
            .iter_mut()
            .step_by(self.inputs + 1)
            .for_each(|cell| *cell = COVARIANCE_FIRST);
    }

    /// Steps whose farthest distance has come.
    pub(super) fn learned(&self) -> usize {
        self.learned
    }

    /// The expected change of the score over distance `d`, in units of its size.
    pub(super) fn expected(&self, d: usize, inputs: &[f64]) -> f64 {
        let weights = &self.weights[d * self.inputs..(d + 1) * self.inputs];
        weights.iter().zip(inputs).map(|(w, x)| w * x).sum()
    }

    /// Learns from the score of this step what earlier ones should have said.
    pub(super) fn learn(&mut self, y: f64) {
        let length = self.steps.len();
        for (d, &distance) in self.distances.iter().enumerate() {
            let i = (self.next + length - distance) % length;
            let Step { y: before, size } = self.steps[i];
            if size == 0.0 {
                continue;
            }
            let (inputs, gain) =
                self.cells[2 * i * self.inputs..2 * (i + 1) * self.inputs].split_at(self.inputs);
            let weights = &mut self.weights[d * self.inputs..(d + 1) * self.inputs];
            let expected: f64 = weights.iter().zip(inputs).map(|(w, &x)| w * f64::from(x)).sum();
            let surprise = ((y - before) / size - expected).clamp(-SURPRISE_MAX, SURPRISE_MAX);
            for (weight, &gain) in weights.iter_mut().zip(gain) {
                *weight += f64::from(gain) * surprise;
            }
            self.learned = self.learned.saturating_add(usize::from(distance == length));
        }
    }

    /// A step of which nothing is known.
    pub(super) fn skip(&mut self) {
        self.note(NOTHING);
    }

    /// Keeps this step, whose score is `y`, until what it is about has come.
    pub(super) fn push(&mut self, y: f64, size: f64, inputs: &[f64]) {
        if size == 0.0 {
            return self.skip();
        }
        let scale = self.spread_of(inputs);
        let at = 2 * self.next * self.inputs;
        let cells = &mut self.cells[at..at + 2 * self.inputs];
        let (kept, gain) = cells.split_at_mut(self.inputs);
        for ((kept, gain), (x, s)) in kept.iter_mut().zip(gain).zip(inputs.iter().zip(&self.spread)) {
            (*kept, *gain) = (*x as f32, (s * scale) as f32);
        }
        self.narrow(scale);
        self.note(Step { y, size });
    }

    fn note(&mut self, step: Step) {
        self.steps[self.next] = step;
        self.next = (self.next + 1) % self.steps.len();
    }

    /// Covariance times inputs, into `spread`; gives what turns that into the gain.
    fn spread_of(&mut self, inputs: &[f64]) -> f64 {
        for (spread, row) in self
            .spread
            .iter_mut()
            .zip(self.covariance.chunks_exact(self.inputs))
        {
            *spread = row.iter().zip(inputs).map(|(c, x)| c * x).sum();
        }
        let quadratic: f64 = self.spread.iter().zip(inputs).map(|(s, x)| s * x).sum();
        1.0 / (FORGETTING + quadratic.max(0.0))
    }

    /// What these inputs tell is known now, and what was known is a little forgotten.
    fn narrow(&mut self, scale: f64) {
        for (row, a) in self.covariance.chunks_exact_mut(self.inputs).zip(&self.spread) {
            for (cell, b) in row.iter_mut().zip(&self.spread) {
                *cell = (*cell - a * b * scale) / FORGETTING;
            }
        }
        for i in 0..self.inputs {
            self.cap(i);
        }
    }

    /// Scales row and column `i` down together, which keeps the matrix positive.
    fn cap(&mut self, i: usize) {
        let variance = self.covariance[i * (self.inputs + 1)];
        if !(variance > 0.0 && variance.is_finite()) || self.weights.iter().any(|w| !w.is_finite()) {
            self.begin();
        } else if variance > COVARIANCE_MAX {
            let shrink = (COVARIANCE_MAX / variance).sqrt();
            for j in 0..self.inputs {
                self.covariance[i * self.inputs + j] *= shrink;
                self.covariance[j * self.inputs + i] *= shrink;
            }
        }
    }
}
