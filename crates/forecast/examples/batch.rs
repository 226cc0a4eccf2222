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
const PASSENGERS: [f64; 144] = [
    112., 118., 132., 129., 121., 135., 148., 148., 136., 119., 104., 118., 115., 126., 141., 135., 125.,
    149., 170., 170., 158., 133., 114., 140., 145., 150., 178., 163., 172., 178., 199., 199., 184., 162.,
    146., 166., 171., 180., 193., 181., 183., 218., 230., 242., 209., 191., 172., 194., 196., 196., 236.,
    235., 229., 243., 264., 272., 237., 211., 180., 201., 204., 188., 235., 227., 234., 264., 302., 293.,
    259., 229., 203., 229., 242., 233., 267., 269., 270., 315., 364., 347., 312., 274., 237., 278., 284.,
    277., 317., 313., 318., 374., 413., 405., 355., 306., 271., 306., 315., 301., 356., 348., 355., 422.,
    465., 467., 404., 347., 305., 336., 340., 318., 362., 348., 363., 435., 491., 505., 404., 359., 310.,
    337., 360., 342., 406., 396., 420., 472., 548., 559., 463., 407., 362., 405., 417., 391., 419., 461.,
    472., 535., 622., 606., 508., 461., 390., 432.,
];

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
