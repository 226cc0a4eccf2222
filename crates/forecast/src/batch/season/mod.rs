//! Which seasons a series has: their lengths in steps, several at once, and none where there is none.
//!
//! Octave by octave of lengths, shortest first:
//!
//! 1. the moving average of two longest periods is taken off, so that neither trend nor walk looks like a season;
//! 2. local maxima of the autocorrelation (by Fourier transform) are the candidates, each made more exact by the
//!    autocorrelation at its multiples;
//! 3. a candidate is confirmed by an F test: its mean profile must vary by more than what is left would make it vary by
//!    chance, where values that resemble their neighbours count as fewer; and each occurrence must be foretold by the
//!    others;
//! 4. its profile is taken off the series before longer ones are looked for, so that 48 is not found where it is 24.
//!
//! A cycle that does not keep its beat is no season, as no model here could use it. Periods are whole steps.

mod candidates;
mod level;
mod profile;

use std::cmp::Reverse;

use self::{candidates::candidates, profile::Profile};

/// Values that are looked at, from the end: half a year of minutes.
const VALUES_MAX: usize = 1 << 18;
/// Occurrences that a season must have.
const OCCURRENCES_MIN: usize = 3;
/// Seasons that are told at most.
const SEASONS_MAX: usize = 6;
/// A season that explains less is of no use.
const STRENGTH_MIN: f64 = 0.05;
/// How far a period may be moved to a rounder one, how many of these are looked at, and what they must foretell.
const ROUNDED_BY_PERMILLE: usize = 15;
const ROUNDED_TRIES: usize = 3;
const ROUNDED_SHARE_MIN: f64 = 0.8;
/// Steps that variation is seen over at least: a flicker that is nothing beside it is no season.
const LEVEL_STEPS_MIN: usize = 32;
/// A period is only a part of a longer one's shape unless it explains at least this share of what that does. Halves and
/// thirds are usual shapes, such as two peaks a day; days of a week are not.
const PART_MIN: f64 = 0.85;
const DAY_OF_WEEK_MIN: f64 = 0.4;

/// A pattern that comes again every `period` steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// In steps, 2 or more.
    pub period: usize,
    /// Share, 0 to 1, of the variation around the moving level that this season foretells and no shorter one does.
    ///
    /// Measured on values whose extremes were drawn in, and on occurrences that were not used for it.
    pub strength: f64,
}

/// The seasons of a series of regular steps, shortest first; empty where there is none.
///
/// A season needs three occurrences, and to explain a twentieth of the variation. Of a longer series the last 262,144
/// values are looked at, so that a million take well under a second. Values that are not finite count as the one
/// before. The unit makes no difference.
///
/// In white noise, autoregressions and trends a season is found in less than one series of a hundred, in random walks in one
/// or two. A cycle that nearly keeps its beat over the few times that it was seen cannot be told from a season.
///
/// ```
/// use foreshift_forecast::batch::season;
///
/// let hourly = |t: usize| [0.0, 0.0, 1.0, 5.0, 9.0, 4.0, 2.0, 1.0][t % 24 / 3] + 0.001 * t as f64;
/// let seasons = season::detect(&(0..240).map(hourly).collect::<Vec<_>>());
/// assert_eq!(seasons.len(), 1);
/// assert_eq!(seasons[0].period, 24);
/// ```
pub fn detect(values: &[f64]) -> Vec<Season> {
    let original = level::draw_in(&values[values.len().saturating_sub(VALUES_MAX)..]);
    let mut rest = original.clone();
    let mut found: Vec<usize> = Vec::new();
    let mut shortest = 2;
    while shortest <= original.len() / OCCURRENCES_MIN && found.len() < SEASONS_MAX {
        match next(&rest, &original, shortest, &found) {
            Some(profile) => {
                profile.remove(&mut rest);
                found.push(profile.period());
            }
            None => shortest *= 2,
        }
    }
    found.sort_unstable();
    with_strengths(without_parts(&found, &original), &original)
}

/// The best confirmed candidate among periods of `shortest` up to twice that.
fn next(rest: &[f64], original: &[f64], shortest: usize, found: &[usize]) -> Option<Profile> {
    let periods = shortest..(2 * shortest).min(rest.len() / OCCURRENCES_MIN + 1);
    let profiles = candidates(rest, periods, found)
        .into_iter()
        .map(|period| rounded(rest, period));
    let is_new = |profile: &Profile| found.iter().all(|&season| !is_near(season, profile.period()));
    profiles.filter(is_new).find(|profile| {
        profile.explained() >= STRENGTH_MIN * variation(original, profile.period())
            && profile.is_significant()
    })
}

/// Variance around a moving level that follows no faster than `period`, nor than the usual.
fn variation(x: &[f64], period: usize) -> f64 {
    let left = level::without_level(x, period.max(LEVEL_STEPS_MIN));
    profile::mean_square(&left).max(f64::MIN_POSITIVE)
}

/// The profile of `period`, or of a rounder number of steps close by that foretells as much.
///
/// A smooth shape hardly tells 1441 from 1440; clocks and calendars make numbers with many divisors.
fn rounded(rest: &[f64], period: usize) -> Profile {
    let reach = period * ROUNDED_BY_PERMILLE / 1_000;
    let longest = (period + reach).min(rest.len() / OCCURRENCES_MIN);
    let mut near: Vec<usize> = (period - reach..=longest).collect();
    near.sort_by_cached_key(|&p| (Reverse(divisors(p)), p.abs_diff(period)));
    let exact = Profile::of(rest, period);
    let least = exact.explained() * ROUNDED_SHARE_MIN;
    let rounder = near.into_iter().take(ROUNDED_TRIES).take_while(|&p| p != period);
    let mut rounder = rounder.map(|p| Profile::of(rest, p));
    rounder
        .find(|profile| profile.explained() >= least)
        .unwrap_or(exact)
}

fn divisors(n: usize) -> usize {
    let pairs = (1..).take_while(|d| d * d <= n).filter(|&d| n.is_multiple_of(d));
    pairs.map(|d| if d * d == n { 1 } else { 2 }).sum()
}

fn is_near(a: usize, b: usize) -> bool {
    a.abs_diff(b) * 50 <= a.max(b)
}

/// Leaves out what is only part of a longer season's shape.
fn without_parts(found: &[usize], original: &[f64]) -> Vec<usize> {
    let explained: Vec<f64> = found
        .iter()
        .map(|&period| Profile::of(original, period).explained())
        .collect();
    let is_part_of = |i: usize, j: usize| {
        let times = found[j] as f64 / found[i] as f64;
        let whole = times.round();
        let least = if whole < 5.0 { PART_MIN } else { DAY_OF_WEEK_MIN };
        whole >= 2.0 && (times - whole).abs() <= 0.02 * whole && explained[i] < least * explained[j]
    };
    let is_whole = |&i: &usize| (i + 1..found.len()).all(|j| !is_part_of(i, j));
    (0..found.len()).filter(is_whole).map(|i| found[i]).collect()
}

/// What each of the rising `periods` adds to the shorter ones.
fn with_strengths(periods: Vec<usize>, original: &[f64]) -> Vec<Season> {
    let mut rest = original.to_vec();
    let season = |period| {
        let profile = Profile::of(&rest, period);
        profile.remove(&mut rest);
        let strength = (profile.explained() / variation(original, period)).clamp(0.0, 1.0);
        Season { period, strength }
    };
    periods.into_iter().map(season).collect()
}
