//! ARIMA against published fits of public series.

use foreshift_forecast::{
    Fitted,
    batch::{
        Arima,
        arima::{FittedArima, Order},
    },
};

/// International airline passengers, thousands a month, 1949 to 1960: Box & Jenkins, *Time Series Analysis*, series G.
const AIR_PASSENGERS: [f64; 144] = include!("../fixtures/air_passengers.in");

/// Luteinizing hormone in blood samples ten minutes apart: Diggle, *Time Series: A Biostatistical Introduction* (1990),
/// table A.1.
const LH: [f64; 48] = [
    2.4, 2.4, 2.4, 2.2, 2.1, 1.5, 2.3, 2.3, 2.5, 2.0, 1.9, 1.7, 2.2, 1.8, 3.2, 3.2, 2.7, 2.2, 2.2, 1.9, 1.9,
    1.8, 2.7, 3.0, 2.3, 2.0, 2.0, 2.9, 2.9, 2.7, 2.7, 2.3, 2.6, 2.4, 1.8, 1.7, 1.5, 1.4, 2.1, 3.3, 3.5, 3.5,
    3.1, 2.6, 2.1, 3.4, 3.0, 2.9,
];

/// Accidental deaths in the United States, a month, 1973 to 1978: Brockwell & Davis, *Time Series: Theory and Methods*
/// (1991), example 1.1.6.
const US_ACCIDENTAL_DEATHS: [f64; 72] = [
    9007., 8106., 8928., 9137., 10017., 10826., 11317., 10744., 9713., 9938., 9161., 8927., 7750., 6981.,
    8038., 8422., 8714., 9512., 10120., 9823., 8743., 9129., 8710., 8680., 8162., 7306., 8124., 7870., 9387.,
    9556., 10093., 9620., 8285., 8466., 8160., 8034., 7717., 7461., 7767., 7925., 8623., 8945., 10078.,
    9179., 8037., 8488., 7874., 8647., 7792., 6957., 7726., 8106., 8890., 9299., 10625., 9302., 8314., 8850.,
    8265., 8796., 7836., 6892., 7791., 8192., 9115., 9434., 10484., 9827., 9110., 9070., 8633., 9240.,
];

/// Users of an internet server, minute by minute: Makridakis, Wheelwright & Hyndman, *Forecasting: Methods and
/// Applications* (1998), as R's `WWWusage`.
const WWW_USAGE: [f64; 100] = [
    88., 84., 85., 85., 84., 85., 83., 85., 88., 89., 91., 99., 104., 112., 126., 138., 146., 151., 150.,
    148., 147., 149., 143., 132., 131., 139., 147., 150., 148., 145., 140., 134., 131., 131., 129., 126.,
    126., 132., 137., 140., 142., 150., 159., 167., 170., 171., 172., 172., 174., 175., 172., 172., 174.,
    174., 169., 165., 156., 142., 131., 121., 112., 104., 102., 99., 99., 95., 88., 84., 84., 87., 89., 88.,
    85., 86., 89., 91., 91., 94., 101., 110., 121., 135., 145., 149., 156., 165., 171., 175., 177., 182.,
    193., 204., 208., 210., 215., 222., 228., 226., 222., 220.,
];

fn close(found: f64, published: f64, tolerance: f64, what: &str) {
    assert!(
        (found - published).abs() <= tolerance,
        "{what}: {found}, published {published}"
    );
}

fn log_air_passengers() -> Vec<f64> {
    AIR_PASSENGERS.iter().map(|y| y.ln()).collect()
}

fn airline() -> FittedArima {
    Arima::seasonal((0, 1, 1), (0, 1, 1), 12)
        .estimate(&log_air_passengers())
        .expect("long enough")
}

#[test]
fn the_airline_model_is_as_published() {
    // R's `arima(log(AirPassengers), c(0, 1, 1), seasonal = c(0, 1, 1))`.
    let fitted = airline();
    close(fitted.coefficients().ma[0], -0.4018, 5e-4, "ma1");
    close(fitted.coefficients().seasonal_ma[0], -0.5569, 5e-4, "sma1");
    close(fitted.log_likelihood(), 244.7, 0.05, "log likelihood");
    close(fitted.aic(), -483.4, 0.05, "aic");
    // R divides by 131 values, not by these less two coefficients.
    close(fitted.variance() * 129.0 / 131.0, 0.001348, 2e-6, "variance");
    assert_eq!(fitted.name(), "arima(0,1,1)(0,1,1)[12]");
    let prediction = fitted.predict(12, &[0.05, 0.5, 0.95]);
    close(prediction.point()[3], 6.199, 1e-3, "April 1961");
}

#[test]
fn hormone_levels_are_fitted_as_by_r() {
    // The examples of R's `?arima` on `lh`: coefficients, mean, variance, log likelihood.
    for (order, ar, ma, mean, variance, log_likelihood) in [
        ((1, 0, 0), vec![0.5739], vec![], 2.4133, 0.1975, -29.38),
        (
            (3, 0, 0),
            vec![0.6448, -0.0634, -0.2198],
            vec![],
            2.3931,
            0.1787,
            -27.09,
        ),
        ((1, 0, 1), vec![0.4522], vec![0.1982], 2.4101, 0.1923, -28.76),
    ] {
        let fitted = Arima::of_order(order.0, order.1, order.2)
            .estimate(&LH)
            .expect("long enough");
        let found = fitted.coefficients();
        for (found, published) in found.ar.iter().zip(&ar).chain(found.ma.iter().zip(&ma)) {
            close(*found, *published, 1e-3, fitted.name());
        }
        close(found.mean, mean, 5e-4, fitted.name());
        let divisor = (47 - ar.len() - ma.len()) as f64 / 48.0;
        close(fitted.variance() * divisor, variance, 2e-4, fitted.name());
        close(fitted.log_likelihood(), log_likelihood, 0.006, fitted.name());
    }
}

#[test]
fn accidental_deaths_are_fitted_as_by_r() {
    // The example of R's `?arima` on `USAccDeaths`.
    let fitted = Arima::seasonal((0, 1, 1), (0, 1, 1), 12)
        .estimate(&US_ACCIDENTAL_DEATHS)
        .expect("long enough");
    close(fitted.coefficients().ma[0], -0.4303, 1e-3, "ma1");
    close(fitted.coefficients().seasonal_ma[0], -0.5528, 1e-3, "sma1");
    close(fitted.variance() * 57.0 / 59.0, 99_347.0, 200.0, "variance");
    close(fitted.log_likelihood(), -425.44, 0.006, "log likelihood");
    close(fitted.aic(), 856.88, 0.012, "aic");
}

#[test]
fn the_airline_model_is_what_the_search_finds() {
    // As `auto.arima(log(AirPassengers))` of R's `forecast` does.
    let fitted = Arima::auto_seasonal(12)
        .estimate(&log_air_passengers())
        .expect("long enough");
    assert_eq!(fitted.form(), airline().form());
    assert_eq!(fitted.form().seasonal, Order { p: 0, d: 1, q: 1 });
}

#[test]
fn users_of_a_server_are_fitted_as_by_r() {
    // R's `arima(WWWusage, c(3, 1, 0))` and, by `auto.arima` of `forecast`, `c(1, 1, 1)`.
    for (order, ar, ma, log_likelihood) in [
        ((3, 1, 0), vec![1.1513, -0.6612, 0.3407], vec![], -252.0),
        ((1, 1, 1), vec![0.6504], vec![0.5256], -254.15),
    ] {
        let fitted = Arima::of_order(order.0, order.1, order.2)
            .estimate(&WWW_USAGE)
            .expect("long enough");
        let found = fitted.coefficients();
        for (found, published) in found.ar.iter().zip(&ar).chain(found.ma.iter().zip(&ma)) {
            close(*found, *published, 1e-3, fitted.name());
        }
        close(fitted.log_likelihood(), log_likelihood, 0.02, fitted.name());
    }
}
