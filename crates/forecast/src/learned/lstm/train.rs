//! Training: batches of windows drawn by chance, until what is held out is no longer told better.

use super::{
    Executor, Header, Job, Lstm, Progress, TrainError, TrainOptions, TrainSeries,
    adam::Adam,
    data::Data,
    gradient::{Part, Sample, Transposed, huber},
    net::Net,
    random::Random,
    spread::Spread,
};

/// A batch is so many parts, each of so many windows. Parts are summed in their order whoever computed them, so the
/// number of threads does not change the result.
const PARTS: usize = 4;
const ROWS: usize = 16;
const BATCH: usize = PARTS * ROWS;
/// Windows that are held out, at most; evenly taken from all.
const HELD_OUT_MAX: usize = 4_096;
/// One window in so many is learned from without knowing its phase, so that the network can do without.
const BLIND_ONE_IN: usize = 4;

/// A training under way.
struct Training<'a, E: ?Sized> {
    net: Net,
    data: Data,
    parts: Vec<Part>,
    transposed: Transposed,
    executor: &'a E,
}

pub(super) fn train<E: Executor + ?Sized>(
    series: &[TrainSeries<'_>],
    options: &TrainOptions,
    executor: &E,
    mut progress: impl FnMut(Progress),
) -> Result<Lstm, TrainError> {
    options.check()?;
    let shape = options.shape();
    let data = Data::new(series, &shape, options)?;
    let mut random = Random::new(options.seed);
    let mut training = Training {
        net: Net::random(shape.clone(), &mut random),
        data,
        parts: (0..PARTS).map(|_| Part::new(&shape, ROWS)).collect(),
        transposed: Transposed::default(),
        executor,
    };
    let persistence = training.persistence().ok_or(TrainError::Constant)?;
    let mut header = Header {
        series: series.len(),
        windows: training.data.learned(),
        persistence_loss: persistence,
        ..Header::of(options)
    };
    let best = training.run(options, &mut random, &mut header, &mut progress);
    training.net.parameters = best;
    for loss in [
        &mut header.training_loss,
        &mut header.validation_loss,
        &mut header.persistence_loss,
    ] {
        *loss = rounded(*loss);
    }
    let spread = Spread::measure(&mut training.errors());
    Ok(Lstm::new(header, training.net, spread))
}

impl<E: Executor + ?Sized> Training<'_, E> {
    /// The weights that told what was held out best.
    fn run(
        &mut self,
        options: &TrainOptions,
        random: &mut Random,
        header: &mut Header,
        progress: &mut impl FnMut(Progress),
    ) -> Vec<f32> {
        let mut adam = Adam::new(self.net.parameters.len());
        let mut best = self.net.parameters.clone();
        header.validation_loss = self.validate();
        let mut stale = 0;
        for epoch in 0..options.epochs {
            let half_turn = std::f64::consts::PI * epoch as f64 / options.epochs as f64;
            let rate = options.learning_rate * 0.5 * (1.0 + half_turn.cos());
            let report = |progress: &mut dyn FnMut(Progress), batch, batches, loss, validation_loss| {
                progress(Progress {
                    epoch,
                    epochs: options.epochs,
                    batch,
                    batches,
                    loss,
                    validation_loss,
                });
            };
            let batches = options.windows_per_epoch.min(self.data.learned()).div_ceil(BATCH);
            let mut loss = 0.0;
            for batch in 0..batches {
                let now = self.learn(random, &mut adam, rate as f32);
                loss += (now - loss) / (batch + 1) as f64;
                report(progress, batch + 1, batches, loss, None);
            }
            let validation = self.validate();
            report(progress, batches, batches, loss, Some(validation));
            header.epochs = epoch + 1;
            stale += 1;
            if validation < header.validation_loss {
                (header.validation_loss, header.training_loss, stale) = (validation, loss, 0);
                best.clone_from(&self.net.parameters);
            }
            if stale >= options.patience {
                break;
            }
        }
        best
    }

    /// One batch; its mean loss.
    fn learn(&mut self, random: &mut Random, adam: &mut Adam, rate: f32) -> f64 {
        let windows = self.data.learned();
        let drawn: Vec<(usize, bool)> = (0..BATCH)
            .map(|_| (random.below(windows), random.below(BLIND_ONE_IN) == 0))
            .collect();
        self.transposed.take(&self.net);
        let (net, transposed, data) = (&self.net, &self.transposed, &self.data);
        let jobs = self
            .parts
            .iter_mut()
            .zip(drawn.chunks(ROWS))
            .map(|(part, drawn)| {
                let job = move || {
                    let sample = |&(number, blind): &(usize, bool)| data.learned_at(number, blind);
                    let samples: Vec<Sample<'_>> = drawn.iter().map(sample).collect();
                    part.run(net, transposed, &samples, true);
                };
                Box::new(job) as Job<'_>
            });
        self.executor.run(jobs.collect());
        let (loss, counted) = sums(&self.parts);
        let (first, rest) = self.parts.split_at_mut(1);
        let gradient = &mut first[0].gradient;
        for part in rest {
            gradient
                .iter_mut()
                .zip(&part.gradient)
                .for_each(|(sum, g)| *sum += g);
        }
        let share = 1.0 / counted.max(1) as f32;
        gradient.iter_mut().for_each(|g| *g *= share);
        adam.step(&mut self.net.parameters, gradient, rate);
        loss / counted.max(1) as f64
    }

    /// Shows the held-out windows and what the network told of them, part by part.
    fn visit_held_out(&mut self, mut visit: impl FnMut(&[Part])) {
        let all = self.data.held_out();
        let count = all.min(HELD_OUT_MAX);
        let numbers: Vec<usize> = (0..count).map(|i| i * all / count).collect();
        for batch in numbers.chunks(BATCH) {
            let (net, transposed, data) = (&self.net, &self.transposed, &self.data);
            let mut numbers = batch.chunks(ROWS);
            let jobs = self.parts.iter_mut().map(|part| {
                let numbers = numbers.next().unwrap_or_default();
                let job = move || {
                    let samples: Vec<Sample<'_>> = numbers.iter().map(|&i| data.held_out_at(i)).collect();
                    part.run(net, transposed, &samples, false);
                };
                Box::new(job) as Job<'_>
            });
            self.executor.run(jobs.collect());
            visit(&self.parts);
        }
    }

    fn validate(&mut self) -> f64 {
        let mut total = (0.0, 0);
        self.visit_held_out(|parts| {
            let (loss, counted) = sums(parts);
            total = (total.0 + loss, total.1 + counted);
        });
        total.0 / total.1.max(1) as f64
    }

    /// The loss of "it stays as it is" on what is held out; `None` where nothing there varies.
    fn persistence(&mut self) -> Option<f64> {
        let (mut loss, mut counted) = (0.0, 0_usize);
        self.each_told(|_, target, _| {
            loss += huber(target);
            counted += 1;
        });
        (counted > 0).then(|| loss / counted as f64)
    }

    /// Errors on what is held out, by steps ahead.
    fn errors(&mut self) -> Vec<Vec<f32>> {
        let mut errors = vec![Vec::new(); self.net.shape.horizon];
        self.each_told(|h, target, output| errors[h].push(target - output));
        errors
    }

    /// Calls with steps ahead from 0, what came, and what was told.
    fn each_told(&mut self, mut each: impl FnMut(usize, f32, f32)) {
        let horizon = self.net.shape.horizon;
        self.visit_held_out(|parts| {
            for part in parts {
                for row in 0..ROWS {
                    let (targets, outputs) = part.told(row, horizon);
                    for (h, (&target, &output)) in targets.iter().zip(outputs).enumerate() {
                        if !target.is_nan() {
                            each(h, target, output);
                        }
                    }
                }
            }
        });
    }
}

fn sums(parts: &[Part]) -> (f64, usize) {
    parts.iter().fold((0.0, 0), |(loss, counted), part| {
        (loss + part.loss, counted + part.counted)
    })
}

/// To six decimals, which JSON keeps exactly.
fn rounded(loss: f64) -> f64 {
    (loss * 1e6).round() / 1e6
}
