//! Follows one series by all models at once, and tells what is expected next, by which of them, and why.
//!
//! `cargo run -p foreshift-forecast --example select`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use foreshift_forecast::selector::{Error, Selector, SelectorOptions};

/// Requests in ten minutes: busy by day, quiet by night, with some that are nobody's rule.
fn load(t: usize) -> f64 {
    let hour = (t % 144) as f64 / 6.0;
    let day = 400.0 + 300.0 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
    let chance = ((t as u64).wrapping_mul(2_654_435_761) >> 7) % 100;
    day + 0.6 * chance as f64
}

fn main() -> Result<(), Error> {
    let mut selector = Selector::new(SelectorOptions {
        horizon: 36,
        quantiles: vec![0.05, 0.5, 0.9, 0.95],
        high: Some(1_000.0),
        ..SelectorOptions::default()
    })?;
    for t in 0..1_000 {
        // Every now and then nothing was measured.
        selector.observe(Some(load(t)).filter(|_| t % 97 != 0));
        // A service runs this elsewhere and accepts the result when it is there.
        if let Some(refit) = selector.refit_due() {
            selector.accept(refit.run());
        }
    }

    println!("periods: {:?} steps", selector.periods());
    let choice = selector.choice();
    println!("{}: {}", choice.model, choice.reason);
    for model in choice.models.iter().filter(|model| model.weight >= 0.01) {
        let loss = model.loss.unwrap_or(f64::NAN);
        println!(
            "  {:<14} {:>4.0} %  mean error {loss:.1}",
            model.name,
            100.0 * model.weight
        );
    }

    let Some(ahead) = selector.predict() else {
        return Ok(());
    };
    println!(
        "{:>5} {:>8} {:>8} {:>8} {:>8}",
        "step", "point", "0.05", "0.9", "0.95"
    );
    for h in (5..36).step_by(6) {
        let path = |q: f64| ahead.quantile(q).map_or(f64::NAN, |path| path[h]);
        let point = ahead.point()[h];
        println!(
            "{:>5} {point:>8.1} {:>8.1} {:>8.1} {:>8.1}",
            h + 1,
            path(0.05),
            path(0.9),
            path(0.95)
        );
    }
    Ok(())
}
