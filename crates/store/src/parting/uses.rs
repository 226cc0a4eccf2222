//! Which parts of one partition are used together.

use std::collections::BTreeSet;

use bytes::Bytes;
use foreshift_wire::entries::{PART_MAX, PARTS_MAX};

use super::{interval::interval, reigns::Used};

/// Two parts are taken apart where surely less than this share of the reigns that use one of them use both,
const APART_BELOW: f64 = 0.2;
/// and joined again where it is surely more than this.
const JOINED_ABOVE: f64 = 0.3;
/// A part is always told where surely more than this share of reigns use it, until it is surely less.
const ALWAYS_SHARE: f64 = 0.5;
/// Reigns before anything is decided.
const REIGNS_MIN: u32 = 32;
/// Reigns after which all counts are halved, so that old ones fade.
///
/// Einziger, Friedman and Manes, *TinyLFU: a highly efficient cache admission policy*, ACM TOS 13 (2017), on ageing by halving.
const REIGNS_MAX: u32 = 1024;

/// What is decided on a partition, and why.
#[derive(Debug, Clone, PartialEq)]
pub enum Splitting {
    /// It is replayed whole: too few reigns were seen.
    TooFew {
        /// So many are needed.
        needed: u32,
    },
    /// It is replayed whole: it has too many parts, or one with too long a name.
    TooMany,
    /// It is replayed whole: its parts are used together, or it is not sure that they are not.
    Whole,
    /// It is replayed in parts.
    Split {
        /// Parts that are told at every move.
        always: Vec<Bytes>,
        /// Parts that are told together, where one of them was used.
        groups: Vec<Vec<Bytes>>,
        /// The share of reigns that use both among those that use one, for the two parts of different groups with the
        /// highest: the reason.
        closest: Together,
    },
}

/// How much two parts are used together: Jaccard's index of the reigns that use them.
///
/// Jaccard, *The distribution of the flora in the alpine zone*, New Phytologist 11 (1912).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Together {
    /// The two.
    pub parts: (Bytes, Bytes),
    /// 0 to 1.
    pub share: f64,
}

/// Counts of one partition; a set of parts is bits in the order of their names here.
#[derive(Debug, Default)]
pub(super) struct Uses {
    names: Vec<Bytes>,
    is_too_many: bool,
    reigns: u32,
    /// By part, the reigns that used it.
    used: Vec<u32>,
    /// By part, the reigns that used it and another one of a lower place.
    both: Vec<Vec<u32>>,
    /// By part, those that it is used apart from.
    apart: Vec<u32>,
    always: u32,
    changes: u64,
}

impl Uses {
    /// The bit of a part. None where there are too many.
    pub(super) fn bit(&mut self, part: &[u8]) -> u32 {
        if let Some(place) = self.names.iter().position(|name| name == part) {
            return 1 << place;
        }
        if part.len() > PART_MAX || self.names.len() >= PARTS_MAX {
            self.is_too_many = true;
            return 0;
        }
        let place = self.names.len();
        self.names.push(Bytes::copy_from_slice(part));
        self.used.push(0);
        self.both.push(vec![0; place]);
        self.apart.push(0);
        1 << place
    }

    pub(super) fn all(&self) -> u32 {
        (0..self.names.len()).fold(0, |all, place| all | 1 << place)
    }

    pub(super) fn names(&self, parts: u32) -> BTreeSet<Bytes> {
        let of = |(place, name): (usize, &Bytes)| (parts & 1 << place != 0).then(|| name.clone());
        self.names.iter().enumerate().filter_map(of).collect()
    }

    pub(super) fn reigns(&self) -> u32 {
        self.reigns
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// A reign ended that used these parts.
    pub(super) fn count(&mut self, parts: u32) {
        if parts == 0 {
            return;
        }
        self.reigns += 1;
        for place in places(parts) {
            self.used[place] += 1;
            for lower in places(parts).take_while(|lower| *lower < place) {
                self.both[place][lower] += 1;
            }
        }
        self.decide();
        if self.reigns >= REIGNS_MAX {
            self.reigns /= 2;
            self.used.iter_mut().for_each(|count| *count /= 2);
            self.both.iter_mut().flatten().for_each(|count| *count /= 2);
        }
    }

    /// Changes what is sure to be otherwise than before, and nothing else.
    fn decide(&mut self) {
        if self.reigns < REIGNS_MIN {
            return;
        }
        for place in 0..self.names.len() {
            let (low, high) = interval(self.used[place], self.reigns);
            let is_always = self.always & 1 << place != 0;
            if (is_always && high < ALWAYS_SHARE) || (!is_always && low > ALWAYS_SHARE) {
                self.always ^= 1 << place;
                self.changes += 1;
            }
            for lower in 0..place {
                let (low, high) = interval(self.both[place][lower], self.either(place, lower));
                let is_apart = self.apart[place] & 1 << lower != 0;
                if (is_apart && low > JOINED_ABOVE) || (!is_apart && high < APART_BELOW) {
                    self.apart[place] ^= 1 << lower;
                    self.apart[lower] ^= 1 << place;
                    self.changes += 1;
                }
            }
        }
    }

    /// Reigns that used one of the two, or both.
    fn either(&self, place: usize, lower: usize) -> u32 {
        self.used[place] + self.used[lower] - self.both[place][lower]
    }

    /// Sets of parts that are joined, but for those that are always told.
    fn groups(&self) -> Vec<u32> {
        let mut left = self.all() & !self.always;
        let mut groups = Vec::new();
        while left != 0 {
            let mut group = 1 << left.trailing_zeros();
            loop {
                let joined = |place: usize| left & !self.apart[place];
                let next = places(group).fold(group, |group, place| group | joined(place));
                if next == group {
                    break;
                }
                group = next;
            }
            left &= !group;
            groups.push(group);
        }
        groups
    }

    /// What need not be told where these were used: the groups of which none was. Nothing, where none was used at all.
    pub(super) fn apart_from(&self, used: Used) -> u32 {
        if self.is_too_many || used.is_whole || used.parts == 0 {
            return 0;
        }
        let groups = self.groups().into_iter();
        let untouched = groups.filter(|group| group & used.parts == 0);
        untouched.fold(0, |left, group| left | group)
    }

    pub(super) fn decision(&self) -> Splitting {
        let groups = self.groups();
        if self.is_too_many {
            Splitting::TooMany
        } else if self.reigns < REIGNS_MIN && self.changes == 0 {
            Splitting::TooFew { needed: REIGNS_MIN }
        } else if groups.len() < 2 {
            Splitting::Whole
        } else {
            let list = |parts| self.names(parts).into_iter().collect();
            Splitting::Split {
                always: list(self.always),
                closest: self.closest(&groups),
                groups: groups.into_iter().map(list).collect(),
            }
        }
    }

    fn closest(&self, groups: &[u32]) -> Together {
        let is_same = |a: usize, b: usize| {
            groups
                .iter()
                .any(|group| group & 1 << a != 0 && group & 1 << b != 0)
        };
        let all = places(self.all() & !self.always);
        let pairs = all.flat_map(|place| (0..place).map(move |lower| (place, lower)));
        let of_two = pairs.filter(|(a, b)| self.always & 1 << *b == 0 && !is_same(*a, *b));
        let share = |(place, lower): (usize, usize)| Together {
            parts: (self.names[lower].clone(), self.names[place].clone()),
            share: f64::from(self.both[place][lower]) / f64::from(self.either(place, lower).max(1)),
        };
        let closest = of_two.map(share).max_by(|a, b| a.share.total_cmp(&b.share));
        closest.unwrap_or_default()
    }
}

/// The places of the bits that are set, rising.
fn places(parts: u32) -> impl Iterator<Item = usize> + Clone {
    (0..32).filter(move |place| parts & 1 << place != 0)
}
