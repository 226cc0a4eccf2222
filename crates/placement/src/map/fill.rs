//! Fills the buckets: each goes to the first node on its walk that has room.
//!
//! Mirrokni, Thorup & Zadimoghaddam, *Consistent Hashing with Bounded Loads*, 2016. No node gets more than its cap,
//! `ceil(factor × weighted share × 65,536)`; what does not fit spills to the next node on the walk. Depends on the
//! nodes alone and not on what was before, so that every ingress comes to the same map.

use super::{BUCKETS, Buckets, ring::Ring};

/// Odd, so that multiplying by it visits every bucket once, and far from its neighbours: were the buckets filled
/// in the order of the ring, spilled ones would pile up on one stretch of it.
const STRIDE: u16 = 40_503;

/// Fills all buckets. `caps` has one element a node and is above 0 for those on the ring; their sum must be
/// at least 65,536, or the buckets that find no room stay without an owner.
pub(super) fn fill(ring: &Ring, caps: &[u32]) -> Buckets {
    let mut owners = Buckets::none();
    if ring.len() == 0 {
        return owners;
    }
    let mut room = caps.to_vec();
    let mut open = OpenPoints::new(ring.len());
    let mut left: u64 = caps.iter().map(|cap| u64::from(*cap)).sum();
    for turn in 0..BUCKETS {
        if left == 0 {
            break;
        }
        let bucket = (turn as u16).wrapping_mul(STRIDE);
        let point = open.first(ring.start(bucket), |p| room[usize::from(ring.node_at(p).0)] > 0);
        let node = ring.node_at(point);
        room[usize::from(node.0)] -= 1;
        left -= 1;
        owners.set(bucket, Some(node));
    }
    owners
}

/// The cap of each node, 0 for those with no weight.
pub(super) fn caps(weights: &[f64], factor: f64) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    let cap = |weight: &f64| {
        if *weight > 0.0 {
            (factor * weight / total * BUCKETS as f64).ceil() as u32
        } else {
            0
        }
    };
    weights.iter().map(cap).collect()
}

/// Buckets that are not on their first choice, because it was full.
#[cfg(test)]
pub(super) fn spilled(ring: &Ring, owners: &Buckets) -> usize {
    (0..=u16::MAX)
        .filter(|b| owners.get(*b) != Some(ring.node_at(ring.start(*b))))
        .count()
}

/// Finds the next point of a node that has room, and remembers the way past full ones, so that filling stays
/// linear even where the caps leave no slack. (The path halving of a union-find, on a circle.)
struct OpenPoints {
    next: Vec<u32>,
}

impl OpenPoints {
    fn new(points: usize) -> Self {
        Self {
            next: (0..points as u32).collect(),
        }
    }

    /// The first point from `start` on for which `has_room`; one must exist.
    fn first(&mut self, start: usize, has_room: impl Fn(usize) -> bool) -> usize {
        let points = self.next.len();
        let mut at = start;
        let mut found = self.next[at] as usize;
        while !has_room(found) {
            let beyond = if found + 1 == points { 0 } else { found + 1 };
            let further = self.next[beyond];
            self.next[found] = further;
            self.next[at] = further;
            at = found;
            found = further as usize;
        }
        self.next[start] = found as u32;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeIndex;

    #[test]
    fn a_cap_is_the_weighted_share_times_the_factor_rounded_up() {
        assert_eq!(caps(&[1.0, 1.0, 2.0, 0.0], 1.0), [16_384, 16_384, 32_768, 0]);
        assert_eq!(caps(&[1.0, 1.0, 1.0], 1.25), [27_307; 3]);
    }

    #[test]
    fn buckets_that_find_no_room_stay_without_an_owner() {
        let id = foreshift_wire::NodeId::new("a").expect("a name");
        let ring = Ring::new(&[(NodeIndex(0), &id, 1.0)]);
        let owners = fill(&ring, &[10]);
        assert_eq!((0..=u16::MAX).filter(|b| owners.get(*b).is_some()).count(), 10);
    }
}
