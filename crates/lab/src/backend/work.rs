//! Workers: how much a backend can do at once, and how long each item takes.
//!
//! Items queue first in, first out, for a fixed number of workers. A service time is drawn from a log-normal
//! distribution, as measured service times usually look, and waited: several backends on one machine would
//! otherwise share its cores as their common limit. With `burn` it is spent on a core instead.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tokio::sync::Semaphore;

/// The workers of one backend.
#[derive(Debug)]
pub(super) struct Workers {
    free: Semaphore,
    workers: usize,
    mean: Duration,
    spread: f64,
    burn: bool,
    rng: Mutex<Pcg64Mcg>,
    /// Time slept too long so far, in microseconds: timers are coarse, and the next items make up for it.
    overslept_us: AtomicI64,
    queued: AtomicUsize,
    handled: AtomicU64,
}

/// Leaves the queue's count right also when an item is given up while it waits.
struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Workers {
    pub(super) fn new(workers: usize, mean: Duration, spread: f64, burn: bool, seed: u64) -> Self {
        Self {
            free: Semaphore::new(workers),
            workers,
            mean,
            spread,
            burn,
            rng: Mutex::new(Pcg64Mcg::seed_from_u64(seed)),
            overslept_us: AtomicI64::new(0),
            queued: AtomicUsize::new(0),
            handled: AtomicU64::new(0),
        }
    }

    /// Waits for a worker and for its work to be done.
    pub(super) async fn work(&self) {
        self.queued.fetch_add(1, Relaxed);
        let queued = Queued(&self.queued);
        let Ok(_worker) = self.free.acquire().await else {
            return;
        };
        drop(queued);
        let time = self.draw();
        if self.burn {
            burn(time).await;
        } else if !time.is_zero() {
            self.wait(time).await;
        }
        self.handled.fetch_add(1, Relaxed);
    }

    /// Log-normal with the given mean: `exp(µ + σz)`, µ = ln mean − σ²/2, z from Box and Muller's transform.
    fn draw(&self) -> Duration {
        if self.mean.is_zero() {
            return Duration::ZERO;
        }
        let (u, v): (f64, f64) = {
            let mut rng = self.rng.lock().unwrap_or_else(|e| e.into_inner());
            (rng.random(), rng.random())
        };
        let z = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let factor = (self.spread * z - self.spread * self.spread / 2.0).exp();
        self.mean.mul_f64(factor.min(100.0))
    }

    async fn wait(&self, time: Duration) {
        let wanted_us = time.as_micros() as i64;
        let repaid_us = self.overslept_us.swap(0, Relaxed).min(wanted_us);
        let started = Instant::now();
        let sleep_us = wanted_us - repaid_us;
        if sleep_us > 0 {
            tokio::time::sleep(Duration::from_micros(sleep_us as u64)).await;
        }
        let over_us = started.elapsed().as_micros() as i64 - sleep_us;
        // What a busy machine adds beyond a timer's grain is load of its own and is not made up for.
        self.overslept_us.fetch_add(over_us.clamp(0, 2_000), Relaxed);
    }

    /// Items that wait for a worker.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    /// Items that a worker has.
    pub(super) fn in_service(&self) -> usize {
        self.workers - self.free.available_permits().min(self.workers)
    }

    /// Items done.
    pub(super) fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }
}

async fn burn(time: Duration) {
    let spin = move || {
        let started = Instant::now();
        let mut x = 0_u64;
        while started.elapsed() < time {
            x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    };
    // An error means that the runtime shuts down: there is nobody to answer any more.
    let _ = tokio::task::spawn_blocking(spin).await;
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn drawn_times_have_the_configured_mean() {
        let mean = Duration::from_millis(20);
        let workers = Workers::new(1, mean, 0.5, false, 7);
        let drawn: Duration = (0..20_000).map(|_| workers.draw()).sum();
        let ratio = drawn.as_secs_f64() / 20_000.0 / mean.as_secs_f64();
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_items_are_worked_on_than_there_are_workers() {
        let workers = Workers::new(2, Duration::from_millis(10), 0.0, false, 7);
        let five = futures_util::future::join_all((0..5).map(|_| workers.work()));
        tokio::pin!(five);
        assert!((&mut five).now_or_never().is_none());
        assert_eq!((workers.in_service(), workers.queued()), (2, 3));
        five.await;
        assert_eq!(
            (workers.in_service(), workers.queued(), workers.handled()),
            (0, 0, 5)
        );
    }
}
