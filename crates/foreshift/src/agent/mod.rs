//! `foreshift agent`: tells control how the machine is doing.
//!
//! Two threads, so that a control side that is away or slow never delays a measurement: one measures and puts samples into a
//! bounded buffer, the other sends them until they are acknowledged. What is sent again is told apart by its number and the run's
//! name; the age of a sample is taken from a clock that does not jump, so the machine's time of day does not matter.

mod buffer;
mod figures;
mod send;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::args::Agent;
use buffer::Buffer;
use figures::Figures;
use send::{Sender, Sent};

/// Pause after the first report that did not arrive, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What the two threads share.
#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    filled: Condvar,
}

impl Shared {
    /// A thread that panicked left a buffer that is still whole: each change of it is one step.
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Measures and reports until the process is ended.
pub(crate) fn run(args: &Agent) -> Result<()> {
    let sender = Sender::new(args)?;
    let mut figures = Figures::new().context("read /proc")?;
    let shared = Arc::new(Shared::default());
    let (measured, interval) = (shared.clone(), Duration::from_millis(args.interval_ms));
    thread::Builder::new().name("measure".into()).spawn(move || {
        loop {
            thread::sleep(interval);
            match figures.measure() {
                Ok(sample) => measured.buffer().push(sample, Instant::now()),
                Err(error) => tracing::warn!(%error, "cannot measure; trying again"),
            }
            measured.filled.notify_one();
        }
    })?;
    tracing::info!(
        run = sender.run(),
        url = sender.url(),
        "reporting every {interval:?}"
    );
    report(&shared, &sender)
}

/// Sends what is measured, for ever.
fn report(shared: &Shared, sender: &Sender) -> Result<()> {
    let mut pause = PAUSE_MIN;
    let mut away = false;
    loop {
        let samples = {
            let mut buffer = shared.buffer();
            while buffer.is_empty() {
                buffer = shared
                    .filled
                    .wait(buffer)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            buffer.oldest(Instant::now())
        };
        match sender.send(samples) {
            Sent::Taken { newest_seq } => {
                if std::mem::take(&mut away) {
                    tracing::info!("reports arrive again");
                }
                shared.buffer().forget(newest_seq);
                pause = PAUSE_MIN;
                continue;
            }
            Sent::Refused { newest_seq, why } => {
                // Would be refused again; the next ones may be better.
                tracing::error!("a report is refused, and dropped: {why}");
                shared.buffer().forget(newest_seq);
            }
            Sent::Away(why) => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!("reports do not arrive; keeping them: {why}");
                }
            }
        }
        thread::sleep(pause.mul_f64(0.5 + rand_share()));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// 0 to 1, so that many agents do not come back in step: the clock's last digits are as good as any.
fn rand_share() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(now.map_or(0, |now| now.subsec_nanos()) % 1_000_000) / 1e6
}
