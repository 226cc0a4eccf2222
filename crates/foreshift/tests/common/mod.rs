//! What the end-to-end tests share: the real program, real peers, and waiting with a deadline.
//!
//! Every process ends with the value that stands for it. Nothing sleeps for a time that is hoped to be enough:
//! [`until`] polls a condition, and gives up loudly.

// Each test file is a program of its own and uses some of this.
#![allow(dead_code, unreachable_pub)]
// A test that fails tells on stderr what its processes said.
#![allow(clippy::print_stderr)]

pub mod api;
pub mod foreshift;
pub mod load;
pub mod numbers;
pub mod peers;
pub mod process;
pub mod store;

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that is waited for; generous, since the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
