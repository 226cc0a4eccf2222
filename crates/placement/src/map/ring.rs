//! The hash ring: every node's preferred places, and with them each bucket's order of preference.
//!
//! Karger et al., *Consistent Hashing and Random Trees*, 1997, with virtual points in proportion to weight as in
//! ketama. A node's points depend on its id and weight alone, so a node that comes or goes changes no other
//! node's points.
//!
//! Who is full is not the ring's business: [`super::fill`] lays the bound over it.

use foreshift_wire::NodeId;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::NodeIndex;

/// Virtual points for each unit of weight: shares deviate by about 1/√160 = 8 % before the bound evens them out.
const POINTS_PER_WEIGHT: f64 = 160.0;

/// Points of a whole ring at most: 4 MiB, some 30 ms to sort.
const POINTS_MAX: f64 = 524_288.0;

/// Fewer points a node than this on average, and the shares would be left to chance.
const POINTS_PER_NODE_MIN: f64 = 40.0;

/// Steps of a walk before a search among unusable nodes goes over to plain order.
const WALK_MAX: usize = 2_048;

/// Places in rising order, the node in the lowest 16 bits of each.
#[derive(Debug)]
pub(super) struct Ring {
    points: Box<[u64]>,
}

impl Ring {
    /// `members`: index, id and weight (finite, above 0) of each node on the ring.
    pub(super) fn new(members: &[(NodeIndex, &NodeId, f64)]) -> Self {
        let per_weight = POINTS_PER_WEIGHT * scale(members);
        let mut points = Vec::new();
        for (index, id, weight) in members {
            let count = (per_weight * weight).round().max(1.0) as u64;
            let seed = seed(id);
            points.extend((0..count).map(|replica| place(seed, replica) & !0xffff | u64::from(index.0)));
        }
        points.sort_unstable();
        Self {
            points: points.into_boxed_slice(),
        }
    }

    /// Number of virtual points.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// Whose point it is.
    pub(super) fn node_at(&self, point: usize) -> NodeIndex {
        NodeIndex(self.points[point] as u16)
    }

    /// The point where `bucket`'s walk begins: the first at or after the bucket's own place.
    pub(super) fn start(&self, bucket: u16) -> usize {
        let place = u64::from(bucket) << 48;
        let point = self.points.partition_point(|p| *p < place);
        if point == self.points.len() { 0 } else { point }
    }

    /// The first node on `bucket`'s walk that is `usable`.
    ///
    /// Bounded, since it runs on the request path: where the next 2,048 points have no usable node, the rest of
    /// the `members` are asked in order of their index.
    pub(super) fn first(
        &self,
        bucket: u16,
        members: usize,
        usable: impl Fn(NodeIndex) -> bool,
    ) -> Option<NodeIndex> {
        if self.points.is_empty() {
            return None;
        }
        let start = self.start(bucket);
        let steps = self.len().min(WALK_MAX);
        let near = (start..self.len())
            .chain(0..start)
            .take(steps)
            .map(|point| self.node_at(point));
        near.chain((0..members).map(|n| NodeIndex(n as u16)))
            .find(|node| usable(*node))
    }
}

/// Power of two that brings the number of points between its bounds. A power of two, because points come and
/// go only when a cluster doubles or halves; a smooth factor would shift every node's points at every change.
fn scale(members: &[(NodeIndex, &NodeId, f64)]) -> f64 {
    let total = POINTS_PER_WEIGHT * members.iter().map(|(_, _, weight)| weight).sum::<f64>();
    let least = POINTS_PER_NODE_MIN * members.len() as f64;
    if total > POINTS_MAX {
        (POINTS_MAX / total).log2().floor().exp2()
    } else if total < least {
        (least / total).log2().ceil().exp2()
    } else {
        1.0
    }
}

fn seed(id: &NodeId) -> u64 {
    // Fixed keys: node ids are the operator's, not a client's, and every ingress must draw the same ring.
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(id.as_str().as_bytes());
    hasher.finish()
}

/// SplitMix64 (Steele, Lea & Flood, *Fast Splittable Pseudorandom Number Generators*, 2014): one sequence a node.
fn place(seed: u64, replica: u64) -> u64 {
    let mut z = seed.wrapping_add((replica + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_points_stays_within_bounds_for_any_weights() {
        let ids: Vec<_> = (0..1_000)
            .map(|n| NodeId::new(&format!("n{n}")).expect("a name"))
            .collect();
        for weight in [1e-6, 0.01, 1.0, 7.0, 100.0, 1e9] {
            let members: Vec<_> = ids
                .iter()
                .zip(0..)
                .map(|(id, n)| (NodeIndex(n), id, weight))
                .collect();
            let points = Ring::new(&members).len();
            assert!((40_000..=525_000).contains(&points), "{weight}: {points}");
        }
    }

    #[test]
    fn a_node_keeps_its_points_when_its_weight_grows() {
        let id = NodeId::new("a").expect("a name");
        let small = Ring::new(&[(NodeIndex(0), &id, 1.0)]);
        let large = Ring::new(&[(NodeIndex(0), &id, 2.0)]);
        assert!(small.points.iter().all(|p| large.points.binary_search(p).is_ok()));
    }
}
