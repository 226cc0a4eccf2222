//! Which key a client without one is issued, so that its node suits.
//!
//! An issued key is random and has never been anywhere, so where its node does not suit it is thrown away and another one
//! drawn. Nothing has to be remembered: the key that is issued lives where the map says, as any other, on every ingress. Keys
//! that clients bring cannot be told new from old, so they are never treated like this.
//!
//! The bound on each node's load is relative to what this worker itself sees. Bounds of that kind add up: where each worker, and each
//! ingress, keeps a node within a factor of its share, all together do.
//!
//! Pure: time, loads and the draws are arguments. Not here: where the map puts a key, and what a node's load is made of.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Keys drawn at most for one client.
pub(super) const DRAWS: usize = 64;
/// In this time, keys that were issued count half.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// What is known of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its share of the keys relative to the others; one that has none is never drawn.
    pub(super) weight: f64,
    /// In whatever unit, the same for all; a key adds 1.
    pub(super) load: f64,
    /// Ready, and not left out because it fails.
    pub(super) usable: bool,
    /// Its limits would let a request in.
    pub(super) free: bool,
    /// In the zone of the ingress.
    pub(super) own_zone: bool,
}

impl Candidate {
    fn share(&self) -> f64 {
        let counts = self.usable && self.weight.is_finite() && self.weight > 0.0;
        if counts { self.weight } else { 0.0 }
    }
}

/// How well a node suits a new key, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// As wished.
    Best,
    /// In another zone, and within the bound on its load.
    Elsewhere,
    /// Beyond the bound on its load.
    Loaded,
    /// At its limits.
    Full,
    /// Not ready, or left out.
    Unfit,
}

/// Whether a node suits, where zones do not matter.
pub(super) fn fit_of(usable: bool, free: bool) -> Fit {
    match (usable, free) {
        (true, true) => Fit::Best,
        (true, false) => Fit::Full,
        (false, _) => Fit::Unfit,
    }
}

/// How well each node suits. `preference`: nodes of the own zone are preferred while their load is at most this factor of
/// their weighted share.
pub(super) fn fits(candidates: &[Candidate], preference: Option<f64>) -> Vec<Fit> {
    let plain = |c: &Candidate| fit_of(c.usable, c.free);
    let own = candidates.iter().any(|c| c.own_zone && c.share() > 0.0);
    let Some(factor) = preference.filter(|_| own) else {
        return candidates.iter().map(plain).collect();
    };
    let usable = || candidates.iter().filter(|c| c.share() > 0.0);
    let weights: f64 = usable().map(Candidate::share).sum();
    let loads: f64 = usable().map(|c| c.load).sum();
    let has_room = |c: &Candidate| {
        // Rounded up, so that an empty pool takes its first key.
        let bound = (factor * (loads + 1.0) * c.share() / weights).ceil();
        c.load + 1.0 <= bound
    };
    let fit = |c: &Candidate| match plain(c) {
        Fit::Best if !has_room(c) => Fit::Loaded,
        Fit::Best if !c.own_zone => Fit::Elsewhere,
        other => other,
    };
    candidates.iter().map(fit).collect()
}

/// `first`, where its node suits as well as any; else the best of up to [`DRAWS`] keys, the first of equals. A key comes with its
/// node's place in `fits`, where it has one.
pub(super) fn choose<K>(
    candidates: &[Candidate],
    fits: &[Fit],
    first: (K, Option<usize>),
    mut draw: impl FnMut() -> (K, Option<usize>),
) -> (K, Option<usize>) {
    let drawn = candidates.iter().zip(fits).filter(|(c, _)| c.share() > 0.0);
    let best = drawn.map(|(_, fit)| *fit).min().unwrap_or(Fit::Unfit);
    let fit = |node: Option<usize>| node.and_then(|n| fits.get(n)).copied().unwrap_or(Fit::Unfit);
    let mut chosen = first;
    for _ in 1..DRAWS {
        if fit(chosen.1) <= best {
            break;
        }
        let other = draw();
        if fit(other.1) < fit(chosen.1) {
            chosen = other;
        }
    }
    chosen
}

/// Keys that were issued to a node, older ones counting less and less.
#[derive(Debug, Default)]
pub(crate) struct Issued(Cell<Option<(f64, Instant)>>);

impl Issued {
    /// How many, as they count now.
    pub(super) fn lately(&self, now: Instant) -> f64 {
        self.0.get().map_or(0.0, |(count, at)| {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            count * (-passed / HALF_LIFE.as_secs_f64()).exp2()
        })
    }

    /// One more.
    pub(super) fn add(&self, now: Instant) {
        self.0.set(Some((self.lately(now) + 1.0, now)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_candidate() -> impl Strategy<Value = Candidate> {
        let weight = prop_oneof![Just(0.0), 0.1..10.0];
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (weight, 0.0..100.0, flags).prop_map(|(weight, load, (usable, free, own_zone))| Candidate {
            weight,
            load,
            usable,
            free,
            own_zone,
        })
    }

    fn any_preference() -> impl Strategy<Value = Option<f64>> {
        prop::option::of(1.0..10.0)
    }

    /// Draws from a list, round and round, counting.
    fn pick(
        candidates: &[Candidate],
        preference: Option<f64>,
        draws: &[usize],
    ) -> (usize, usize, Option<usize>) {
        let fits = fits(candidates, preference);
        let node = |n: usize| Some(draws[n % draws.len()] % candidates.len());
        let mut count = 1;
        let (key, at) = choose(candidates, &fits, (0, node(0)), || {
            count += 1;
            (count - 1, node(count - 1))
        });
        assert_eq!(at, node(key), "a key stays with its node");
        (key, count, at)
    }

    proptest! {
        #[test]
        fn the_key_is_the_best_of_those_drawn_and_the_draws_are_bounded(
            candidates in prop::collection::vec(any_candidate(), 1..12),
            preference in any_preference(),
            draws in prop::collection::vec(any::<usize>(), 1..100),
        ) {
            let (_, count, at) = pick(&candidates, preference, &draws);
            prop_assert!(count <= DRAWS);
            let fits = fits(&candidates, preference);
            let node = |n: usize| draws[n % draws.len()] % candidates.len();
            let best = (0..count).map(|n| fits[node(n)]).min().unwrap();
            prop_assert_eq!(fits[at.unwrap()], best);
        }

        #[test]
        fn a_node_that_is_usable_and_has_room_is_chosen_where_one_is_drawn(
            candidates in prop::collection::vec(any_candidate(), 1..12),
            preference in any_preference(),
            draws in prop::collection::vec(any::<usize>(), 1..100),
        ) {
            let (_, count, at) = pick(&candidates, preference, &draws);
            let chosen = candidates[at.unwrap()];
            let drawn = (0..count).map(|n| &candidates[draws[n % draws.len()] % candidates.len()]);
            let (mut usable, mut free) = (false, false);
            drawn.for_each(|c| {
                usable |= c.usable;
                free |= c.usable && c.free;
            });
            prop_assert!(chosen.usable || !usable);
            prop_assert!(chosen.usable && chosen.free || !free);
        }

        #[test]
        fn without_a_preference_the_first_key_is_issued_where_its_node_takes_it(
            mut candidates in prop::collection::vec(any_candidate(), 1..12),
            draws in prop::collection::vec(any::<usize>(), 1..100),
        ) {
            let first = draws[0] % candidates.len();
            (candidates[first].usable, candidates[first].free) = (true, true);
            prop_assert_eq!(pick(&candidates, None, &draws), (0, 1, Some(first)));
        }

        #[test]
        fn nothing_is_drawn_again_where_no_node_is_better(
            mut candidates in prop::collection::vec(any_candidate(), 1..12),
            draws in prop::collection::vec(any::<usize>(), 1..100),
        ) {
            candidates.iter_mut().for_each(|c| c.usable = false);
            prop_assert_eq!(pick(&candidates, Some(2.0), &draws).1, 1);
        }

        #[test]
        fn new_keys_fill_the_own_zone_up_to_the_bound_and_all_zones_beyond(
            weights in prop::collection::vec((0.5..4.0, any::<bool>()), 2..8),
            factor in 1.0..3.0,
            keys in 1..600_usize,
            starts in prop::collection::vec(any::<u16>(), 1..50),
        ) {
            let candidate = |(weight, own_zone): &(f64, bool)| Candidate {
                weight: *weight, load: 0.0, usable: true, free: true, own_zone: *own_zone,
            };
            let mut candidates: Vec<_> = weights.iter().map(candidate).collect();
            let count = candidates.len();
            let has_own = weights.iter().any(|(_, own)| *own);
            let whole: f64 = weights.iter().map(|(weight, _)| weight).sum();
            for key in 1..=keys {
                let fits = fits(&candidates, Some(factor));
                prop_assert!(fits.iter().any(|f| *f <= Fit::Elsewhere), "one has room");
                // All nodes in turn, so that none is missed by chance.
                let mut next = usize::from(starts[key % starts.len()]);
                let mut draw = || {
                    next += 1;
                    ((), Some(next % count))
                };
                let first = draw();
                let at = choose(&candidates, &fits, first, draw).1.unwrap();
                let best = fits.iter().min().unwrap();
                prop_assert_eq!(&fits[at], best);
                candidates[at].load += 1.0;
                let bound = (factor * key as f64 * candidates[at].weight / whole).ceil();
                prop_assert!(!has_own || candidates[at].load <= bound);
            }
        }
    }

    #[test]
    fn the_own_zone_is_preferred_while_it_has_room() {
        let node = |load, own_zone| Candidate {
            weight: 1.0,
            load,
            usable: true,
            free: true,
            own_zone,
        };
        let (full, ejected) = (
            |c| Candidate { free: false, ..c },
            |c| Candidate { usable: false, ..c },
        );
        use Fit::{Best, Elsewhere, Full, Loaded, Unfit};
        for (why, factor, nodes, expected) in [
            (
                "empty",
                1.0,
                vec![node(0.0, true), node(0.0, false)],
                vec![Best, Elsewhere],
            ),
            (
                "no more than its share",
                1.0,
                vec![node(5.0, true), node(4.0, false)],
                vec![Loaded, Elsewhere],
            ),
            (
                "a factor of its share",
                1.5,
                vec![node(5.0, true), node(4.0, false)],
                vec![Best, Elsewhere],
            ),
            (
                "and no more",
                1.5,
                vec![node(9.0, true), node(2.0, false)],
                vec![Loaded, Elsewhere],
            ),
            (
                "all of it",
                2.0,
                vec![node(900.0, true), node(0.0, false)],
                vec![Best, Elsewhere],
            ),
            (
                "at its limits",
                2.0,
                vec![full(node(0.0, true)), node(0.0, false)],
                vec![Full, Elsewhere],
            ),
            (
                "none in the own zone",
                2.0,
                vec![ejected(node(0.0, true)), node(9.0, false)],
                vec![Unfit, Best],
            ),
        ] {
            assert_eq!(fits(&nodes, Some(factor)), expected, "{why}");
        }
    }

    #[test]
    fn issued_keys_count_half_after_a_minute() {
        let (issued, now) = (Issued::default(), Instant::now());
        assert_eq!(issued.lately(now), 0.0);
        (0..4).for_each(|_| issued.add(now));
        assert_eq!(issued.lately(now), 4.0);
        assert!((issued.lately(now + HALF_LIFE) - 2.0).abs() < 1e-9);
        issued.add(now + HALF_LIFE);
        assert!((issued.lately(now + 2 * HALF_LIFE) - 1.5).abs() < 1e-9);
    }
}
