//! Published series, and what statsforecast 2.1.1 and statsmodels 0.15.0 forecast for them.

use super::{Croston, Drift, Ets, Mstl, Theta, Tsb};
use crate::{Fit, Prediction};

/// Annual flow of the Nile at Aswan, 1871-1970, in 1e8 m³: Durbin & Koopman, *Time Series Analysis by State Space
/// Methods*, the first example; R's `Nile`.
pub(super) const NILE: [f64; 100] = [
    1120., 1160., 963., 1210., 1160., 1160., 813., 1230., 1370., 1140., 995., 935., 1110., 994., 1020., 960.,
    1180., 799., 958., 1140., 1100., 1210., 1150., 1250., 1260., 1220., 1030., 1100., 774., 840., 874., 694.,
    940., 833., 701., 916., 692., 1020., 1050., 969., 831., 726., 456., 824., 702., 1120., 1100., 832., 764.,
    821., 768., 845., 864., 862., 698., 845., 744., 796., 1040., 759., 781., 865., 845., 944., 984., 897.,
    822., 1010., 771., 676., 649., 846., 812., 742., 801., 1040., 860., 874., 848., 890., 744., 749., 838.,
    1050., 918., 986., 797., 923., 975., 815., 1020., 906., 901., 1170., 912., 746., 919., 718., 714., 740.,
];

/// Airline passengers a month in thousands, 1949-1960: Box & Jenkins, *Time Series Analysis*, series G; R's `AirPassengers`.
const AIR_PASSENGERS: [f64; 144] = include!("../../tests/fixtures/air_passengers.in");

/// Demand of the kind in the papers on intermittent demand.
const DEMAND: [f64; 17] = [0., 6., 0., 0., 2., 4., 0., 0., 0., 3., 0., 5., 0., 0., 1., 0., 0.];

fn forecast(model: &dyn Fit, train: &[f64], horizon: usize) -> Prediction {
    model.fit(train).expect("fits").predict(horizon, &[0.05, 0.95])
}

/// Largest difference to what was published, as a share of it.
fn off_by(found: &[f64], published: &[f64]) -> f64 {
    assert_eq!(found.len(), published.len());
    let shares = found.iter().zip(published).map(|(a, b)| (a / b - 1.0).abs());
    shares.fold(0.0, f64::max)
}

#[test]
fn ets_is_that_of_statsforecast() {
    for (train, form, published) in [
        (
            &AIR_PASSENGERS[..],
            "ets(MAN)",
            [
                436.156_682,
                440.317_148,
                444.477_614,
                448.638_08,
                452.798_546,
                456.959_012,
            ],
        ),
        (&NILE, "ets(MNN)", [839.146_514; 6]),
    ] {
        assert_eq!(Ets::auto().fit(train).expect("fits").name(), form);
        let off = off_by(forecast(&Ets::auto(), train, 6).point(), &published);
        assert!(off < 1e-4, "{form}: {off}");
    }
}

#[test]
fn theta_lies_between_statsforecast_and_statsmodels_or_close_by() {
    let by_statsforecast = [440.969, 429.249, 490.693, 476.660, 480.631, 546.456];
    let by_statsmodels = [440.068, 428.374, 489.696, 475.694, 479.659, 545.354];
    let found = forecast(&Theta::new(Some(12)), &AIR_PASSENGERS, 6);
    for published in [by_statsforecast, by_statsmodels] {
        assert!(off_by(found.point(), &published) < 0.003, "{:?}", found.point());
    }
}

#[test]
fn theta_smooths_with_the_least_squares_of_both_parameters() {
    // Smoothing 0.2197 and first level 1174.4 by scipy's minimiser from four starts, on the line of twice the curvature.
    let found = forecast(&Theta::new(None), &NILE, 3);
    let published = [808.098_84, 806.741_68, 805.384_53];
    assert!(off_by(found.point(), &published) < 1e-6, "{:?}", found.point());
}

#[test]
fn mstl_is_about_that_of_statsforecast() {
    let found = forecast(&Mstl::new(vec![12]), &AIR_PASSENGERS, 6);
    let published = [446.539, 430.123, 473.191, 472.870, 482.094, 536.326];
    assert!(off_by(found.point(), &published) < 0.01, "{:?}", found.point());
}

#[test]
fn drift_and_its_interval_are_those_of_statsforecast() {
    let found = forecast(&Drift, &AIR_PASSENGERS, 3);
    assert!(off_by(found.point(), &[434.237_762, 436.475_524, 438.713_287]) < 1e-8);
    for (path, published) in [
        (0.05, [378.718_267, 357.686_947, 341.885_208]),
        (0.95, [489.757_257, 515.264_102, 535.541_366]),
    ] {
        let path = found.quantile(path).expect("asked for");
        assert!(off_by(path, &published) < 1e-3, "{path:?}");
    }
}

#[test]
fn intermittent_demand_is_forecast_as_by_statsforecast() {
    // From a series' first demand on; what its TSB makes of zeros before that is its own.
    for (model, train, published) in [
        (&Croston::new() as &dyn Fit, &DEMAND[..], 2.110_586),
        (&Croston::corrected(), &DEMAND, 2.005_057),
        (&Croston::new(), &DEMAND[1..], 2.859_454),
        (&Tsb, &DEMAND[1..], 2.157_592),
    ] {
        let off = off_by(forecast(model, train, 1).point(), &[published]);
        assert!(off < 1e-6, "{}: {off}", model.name());
    }
}
