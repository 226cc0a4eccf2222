//! How sure a share is.

/// How many standard errors make it sure: about one in two hundred is outside by chance.
const Z: f64 = 2.58;

/// Between which values the share is of which `count` of `all` were seen, with some confidence.
///
/// Wilson, *Probable inference, the law of succession, and statistical inference*, JASA 22 (1927): it holds for few and for
/// extreme counts too.
pub(super) fn interval(count: u32, all: u32) -> (f64, f64) {
    let (count, all) = (f64::from(count), f64::from(all));
    if all == 0.0 {
        return (0.0, 1.0);
    }
    let share = count / all;
    let scale = 1.0 + Z * Z / all;
    let middle = share + Z * Z / (2.0 * all);
    let spread = Z * (share * (1.0 - share) / all + Z * Z / (4.0 * all * all)).sqrt();
    (
        ((middle - spread) / scale).max(0.0),
        ((middle + spread) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_was_seen_the_narrower_it_is_and_the_share_is_in_it() {
        assert_eq!(interval(0, 0), (0.0, 1.0));
        let mut before = 1.0;
        for all in [4, 16, 64, 256, 1024] {
            let (low, high) = interval(all / 4, all);
            assert!(
                low < 0.25 && 0.25 < high && high - low < before,
                "{all}: {low} {high}"
            );
            before = high - low;
        }
        // From the formula by hand: z^2 / (n + z^2) for none of n.
        let (low, high) = interval(0, 27);
        assert!(low == 0.0 && (high - 6.6564 / 33.6564).abs() < 1e-9, "{high}");
    }
}
