//! Fits batch models to a published series, and tells the next year with each model's own intervals.
//!
//! `cargo run -p foreshift-forecast --example batch`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use foreshift_forecast::{
    Fit, FitError,
    batch::{Arima, Ets, Mstl, Theta, season},
};

/// Monthly totals of international airline passengers in thousands, January 1949 to December 1960: Box, Jenkins &
/// Reinsel, *Time Series Analysis*, series G.
const PASSENGERS: [f64; 144] = include!("../tests/fixtures/air_passengers.in");

const MONTHS: usize = 12;

fn main() -> Result<(), FitError> {
    for season in season::detect(&PASSENGERS) {
        println!(
            "a season of {} steps, of strength {:.2}",
            season.period, season.strength
        );
    }
    // All but the last year, which is then known.
    let (train, last_year) = PASSENGERS.split_at(PASSENGERS.len() - MONTHS);
    let models: [&dyn Fit; 5] = [
        &Theta::new(Some(MONTHS)),
        &Ets::auto(),
        &Mstl::new(vec![MONTHS]),
        &Arima::auto(),
        &Arima::seasonal((0, 1, 1), (0, 1, 1), MONTHS),
    ];
    for model in models {
        let mut fitted = model.fit(train)?;
        let ahead = fitted.predict(MONTHS, &[0.05, 0.95]);
        let errors = ahead
            .point()
            .iter()
            .zip(last_year)
            .map(|(y, was)| (y - was).abs());
        let mean_error = errors.sum::<f64>() / MONTHS as f64;
        let [low, high] = [0.05, 0.95].map(|q| ahead.quantile(q).map_or(f64::NAN, |path| path[6]));
        println!(
            "{:<24} July 1960: {:.0}, 90 % in {low:.0} to {high:.0}, was 622; mean error of the year {mean_error:.1}",
            fitted.name(),
            ahead.point()[6]
        );
        // January came: most go on without a new fit.
        fitted.update(Some(last_year[0]));
    }
    Ok(())
}
