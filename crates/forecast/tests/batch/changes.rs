//! Changes are noticed soon, and false alarms are as rare as is said.

use foreshift_forecast::batch::change::{self, Cusum, Direction};

use crate::common::{notice, source};

#[test]
fn false_alarms_are_as_rare_as_is_said() {
    let mut alarms = 0;
    for seed in 0..20 {
        let errors = source(seed).autoregression(20_000, 0.0);
        let mut cusum = Cusum::default();
        alarms += errors
            .iter()
            .filter(|&&error| cusum.observe(error).is_some())
            .count();
    }
    notice(&format!("{alarms} alarms in 400,000 normal errors"));
    assert!((8..=40).contains(&alarms), "{alarms}");
}

#[test]
fn the_errors_of_a_fitting_model_alarm_far_less_than_the_values() {
    let mut counts = (0, 0);
    for seed in 0..20 {
        let values = source(seed).autoregression(5_000, 0.8);
        let errors: Vec<f64> = values.windows(2).map(|pair| pair[1] - 0.8 * pair[0]).collect();
        counts.0 += change::points(&errors).len();
        counts.1 += change::points(&values).len();
    }
    notice(&format!("{} on the errors, {} on the values", counts.0, counts.1));
    assert!(counts.0 <= 12 && counts.1 > 100, "{counts:?}");
}

#[test]
fn shifts_are_noticed_with_their_direction_and_beginning() {
    for (shift, delay_mean_max) in [(1.0, 24.0), (2.0, 9.0), (-1.0, 24.0), (-3.0, 6.0)] {
        let (mut delay, mut offset) = (0.0, 0.0);
        for seed in 0..40 {
            let mut errors = source(seed).autoregression(600, 0.0);
            errors[300..].iter_mut().for_each(|error| *error += shift);
            let changes = change::points(&errors);
            let found = changes
                .iter()
                .find(|change| change.noticed >= 300)
                .expect("it lasts");
            let up = if shift > 0.0 {
                Direction::Up
            } else {
                Direction::Down
            };
            assert_eq!(found.direction, up, "{shift}, {seed}: {found:?}");
            delay += (found.noticed - 300) as f64 / 40.0;
            offset += found.began.abs_diff(300) as f64 / 40.0;
        }
        notice(&format!(
            "{shift}: {delay:.1} errors later, beginning {offset:.1} off"
        ));
        assert!(
            delay <= delay_mean_max && offset <= 8.0,
            "{shift}: {delay}, {offset}"
        );
    }
}
