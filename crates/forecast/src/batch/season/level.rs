//! Values as detection sees them: extremes drawn in, and the moving level taken off.

/// Centres on the median and draws in extremes: near it all stays as it is, far from it only the logarithm counts.
///
/// One flash crowd would otherwise outweigh weeks of days. What is not finite is as the value before.
pub(super) fn draw_in(values: &[f64]) -> Vec<f64> {
    let mut last = values.iter().copied().find(|y| y.is_finite()).unwrap_or(0.0);
    let carry = |&y: &f64| {
        if y.is_finite() {
            last = y;
        }
        last
    };
    let filled: Vec<f64> = values.iter().map(carry).collect();
    let size = filled.iter().fold(0.0, |size: f64, y| size.max(y.abs()));
    if size == 0.0 {
        return filled;
    }
    let mut filled: Vec<f64> = filled.iter().map(|y| y / size).collect();
    let centre = median(&mut filled.clone());
    filled.iter_mut().for_each(|y| *y -= centre);
    let mut sizes: Vec<f64> = filled.iter().map(|y| y.abs()).collect();
    let mut unit = 2.0 * median(&mut sizes);
    if unit == 0.0 {
        // Most values are alike: the mean deviation tells the unit.
        unit = sizes.iter().sum::<f64>() / sizes.len() as f64;
    }
    if unit > 0.0 {
        filled.iter_mut().for_each(|y| *y = (*y / unit).asinh());
    }
    filled
}

/// The middle value, which `values` are reordered for; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// What is left after the moving average over one `window` (at most the series' length) is taken off.
///
/// At both ends, where no window fits, the average goes on with the series' mean slope.
pub(super) fn without_level(x: &[f64], window: usize) -> Vec<f64> {
    let n = x.len();
    let window = window.clamp(1, n.max(1));
    let mut sums = Vec::with_capacity(n + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for x in x {
        sum += x;
        sums.push(sum);
    }
    // Even windows reach half a step further back: both their means are averaged, so that they are centred too.
    let half = window / 2;
    let mean_from = |from: usize| (sums[from + window] - sums[from]) / window as f64;
    let centred = |t: usize| {
        let from = t - half;
        let later = (from + 1).min(n - window);
        if !window.is_multiple_of(2) {
            mean_from(from)
        } else {
            0.5 * (mean_from(from) + mean_from(later))
        }
    };
    let (first, last) = (half, (n + half).saturating_sub(window).max(half));
    let even_end = usize::from(window.is_multiple_of(2) && last > first);
    let last = last - even_end;
    if n == 0 {
        return Vec::new();
    }
    let slope = if last > first {
        (centred(last) - centred(first)) / (last - first) as f64
    } else {
        0.0
    };
    let level = |t: usize| {
        let inside = t.clamp(first, last);
        centred(inside) + slope * (t as f64 - inside as f64)
    };
    x.iter().enumerate().map(|(t, x)| x - level(t)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_off_whole_and_a_season_of_the_window_is_kept() {
        for (n, window) in [
            (1, 1),
            (2, 2),
            (9, 4),
            (10, 5),
            (30, 10),
            (31, 10),
            (7, 7),
            (8, 8),
        ] {
            let line: Vec<f64> = (0..n).map(|t| 3.0 - 0.7 * t as f64).collect();
            let left = without_level(&line, window);
            let most = left.iter().fold(0.0, |most: f64, y| most.max(y.abs()));
            assert!(n < window + 2 || most < 1e-9, "{n}, {window}: {left:?}");
        }
        let season: Vec<f64> = (0..40).map(|t| f64::from(t % 8) - 3.5).collect();
        let left = without_level(&season, 8);
        assert!(
            left.iter().zip(&season).all(|(a, b)| (a - b).abs() < 1e-9),
            "{left:?}"
        );
    }

    #[test]
    fn extremes_are_drawn_in_and_what_is_not_finite_is_as_before() {
        let drawn = draw_in(&[1.0, f64::NAN, 2.0, 3.0, 1e300, f64::INFINITY, 2.0, 0.0]);
        assert!(drawn.iter().all(|y| y.abs() < 1_000.0), "{drawn:?}");
        assert_eq!((drawn[0], drawn[4]), (drawn[1], drawn[5]));
        assert_eq!(draw_in(&[f64::NAN; 3]), [0.0; 3]);
    }
}
