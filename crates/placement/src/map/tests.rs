//! Laws of the map, for any cluster.

use proptest::prelude::*;

use super::*;
use crate::{Secret, session_id};

fn id(name: usize) -> NodeId {
    NodeId::new(&format!("n{name}")).expect("a plain name")
}

fn node(name: usize, weight: f64) -> MapNode {
    MapNode {
        id: id(name),
        weight,
        state: NodeState::Ready,
    }
}

fn alike(count: usize) -> Vec<MapNode> {
    (0..count).map(|n| node(n, 1.0)).collect()
}

fn session(key: u32) -> SessionId {
    let pool = foreshift_wire::PoolName::new("app").expect("a plain name");
    session_id(&Secret::from_bytes([5; 16]), &pool, &key.to_le_bytes())
}

fn owner(map: &AffinityMap, bucket: u16) -> Option<&NodeId> {
    map.bucket_owner(bucket).and_then(|n| map.node(n)).map(|n| &n.id)
}

fn place(map: &AffinityMap, session: SessionId) -> Option<&NodeId> {
    map.lookup(session).and_then(|n| map.node(n)).map(|n| &n.id)
}

fn spilled(map: &AffinityMap) -> usize {
    fill::spilled(&map.cluster.ring, &map.cluster.home)
}

prop_compose! {
    fn any_nodes()(weights in prop::collection::vec(prop_oneof![3 => Just(1.0), 1 => 0.1..8.0_f64], 2..24)) -> Vec<MapNode> {
        weights.into_iter().enumerate().map(|(n, weight)| node(n, weight)).collect()
    }
}

prop_compose! {
    fn any_change()(
        set in prop::collection::vec((0..40_u32, 0..6_usize), 0..20),
        clear in prop::collection::vec(0..40_u32, 0..10),
        set_buckets in prop::collection::vec((0..20_u16, 0..6_usize), 0..10),
        clear_buckets in prop::collection::vec(0..20_u16, 0..5),
    ) -> MapChanges {
        MapChanges {
            set_overrides: set.into_iter().map(|(key, n)| (session(key), id(n))).collect(),
            clear_overrides: clear.into_iter().map(session).collect(),
            set_buckets: set_buckets.into_iter().map(|(b, n)| (b, id(n))).collect(),
            clear_buckets,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_bucket_has_an_owner_and_no_node_more_than_its_bound(nodes in any_nodes(), factor in 1.0..3.0_f64) {
        let map = AffinityMap::build(1, nodes, factor);
        let total: f64 = map.nodes().iter().map(|n| n.weight).sum();
        let counts = map.buckets_per_node();
        prop_assert_eq!(counts.iter().sum::<u32>() as usize, BUCKETS);
        for (node, count) in map.nodes().iter().zip(counts) {
            let cap = (factor * node.weight / total * BUCKETS as f64).ceil();
            prop_assert!(f64::from(count) <= cap, "{node:?}: {count} of {cap}");
        }
    }

    #[test]
    fn the_order_in_which_nodes_are_given_does_not_matter(nodes in any_nodes().prop_shuffle(), factor in 1.0..2.0_f64) {
        let shuffled = AffinityMap::build(1, nodes.clone(), factor);
        let mut sorted = nodes;
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        let sorted = AffinityMap::build(1, sorted, factor);
        prop_assert_eq!(shuffled.changed_buckets(&sorted), Vec::<u16>::new());
    }

    #[test]
    fn a_new_node_takes_its_share_and_only_what_spills_moves_besides(
        nodes in any_nodes(), weight in 0.5..4.0_f64, factor in 1.05..2.0_f64,
    ) {
        let before = AffinityMap::build(1, nodes.clone(), factor);
        let newcomer = id(999);
        let after = before.with_nodes(2, nodes.into_iter().chain([node(999, weight)]).collect());
        let changed = before.changed_buckets(&after);
        let beside = changed.iter().filter(|b| owner(&after, **b) != Some(&newcomer)).count();
        prop_assert!(beside <= spilled(&before) + spilled(&after), "{beside} moved beside");
        // And back: removing it moves what it had and what spilled, no more.
        prop_assert_eq!(after.changed_buckets(&before), changed);
    }

    #[test]
    fn without_a_bound_a_new_node_takes_buckets_and_no_other_moves(nodes in any_nodes(), weight in 0.5..4.0_f64) {
        let before = AffinityMap::build(1, nodes.clone(), 1e9);
        let after = before.with_nodes(2, nodes.into_iter().chain([node(999, weight)]).collect());
        for bucket in before.changed_buckets(&after) {
            prop_assert_eq!(owner(&after, bucket), Some(&id(999)));
        }
    }

    #[test]
    fn failing_over_and_rebuilding_agree_where_nothing_spills(nodes in any_nodes(), dead in 0..2_usize) {
        let before = AffinityMap::build(1, nodes.clone(), 1e9);
        let survivors = nodes.into_iter().filter(|n| n.id != id(dead)).collect();
        let after = before.with_nodes(2, survivors);
        let failed = before.index_of(&id(dead));
        for key in 0..2_000 {
            let next = before.next(session(key), |n| Some(n) != failed).and_then(|n| before.node(n)).map(|n| &n.id);
            prop_assert_eq!(next, place(&after, session(key)));
        }
    }

    #[test]
    fn changes_one_by_one_and_at_once_come_to_the_same_as_a_plain_table(changes in prop::collection::vec(any_change(), 1..8)) {
        let mut map = AffinityMap::build(1, alike(5), 1.25);
        let home = map.clone();
        let (mut keys, mut buckets) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        for change in &changes {
            map = map.with_changes(map.version() + 1, change);
            for s in &change.clear_overrides { keys.remove(s); }
            for (s, n) in &change.set_overrides { keys.insert(*s, n.clone()); }
            for b in &change.clear_buckets { buckets.remove(b); }
            for (b, n) in &change.set_buckets { buckets.insert(*b, n.clone()); }
        }
        // The sixth node does not exist: what names it is at home.
        keys.retain(|_, n| *n != id(5));
        buckets.retain(|_, n| *n != id(5));
        prop_assert_eq!(map.override_count(), keys.len());
        prop_assert_eq!(map.overrides().count(), keys.len());
        for bucket in 0..20 {
            prop_assert_eq!(owner(&map, bucket), buckets.get(&bucket).or(owner(&home, bucket)));
        }
        for key in 0..40 {
            let expected = keys.get(&session(key)).or(owner(&map, session(key).bucket()));
            prop_assert_eq!(place(&map, session(key)), expected);
        }
        // Rebuilding with the same nodes, or through other indices and back, keeps all of it.
        let again = map.with_nodes(90, alike(6)).with_nodes(91, alike(5));
        prop_assert_eq!(map.changed_buckets(&again), Vec::<u16>::new());
        prop_assert_eq!(again.override_count(), keys.len());
    }
}

#[test]
fn at_the_default_factor_hardly_anything_spills() {
    for count in [3, 4, 8, 20, 100] {
        let map = AffinityMap::build(1, alike(count), 1.25);
        let share = spilled(&map) as f64 / BUCKETS as f64;
        assert!(share < 0.01, "{count} nodes: {share}");
    }
}

#[test]
fn shares_follow_the_weights() {
    let map = AffinityMap::build(1, (1..=6).map(|n| node(n, n as f64)).collect(), 1.25);
    for (node, count) in map.nodes().iter().zip(map.buckets_per_node()) {
        let share = f64::from(count) / BUCKETS as f64 * 21.0 / node.weight;
        assert!((0.75..=1.26).contains(&share), "{node:?}: {share}");
    }
}

#[test]
fn only_ready_nodes_own_buckets_and_without_one_nothing_is_found() {
    let mut nodes = alike(4);
    nodes[1].state = NodeState::Draining;
    nodes[2].state = NodeState::Down;
    nodes[3].state = NodeState::Joining;
    let map = AffinityMap::build(1, nodes.clone(), 1.25);
    assert_eq!(map.buckets_per_node(), [65_536, 0, 0, 0]);
    nodes[0].state = NodeState::Down;
    let none = map.with_nodes(2, nodes);
    assert_eq!(
        (none.lookup(session(1)), none.next(session(1), |_| true)),
        (None, None)
    );
    assert_eq!(AffinityMap::build(1, Vec::new(), 1.25).lookup(session(1)), None);
}

#[test]
fn an_override_counts_while_its_node_is_ready_or_draining() {
    let change = MapChanges {
        set_overrides: vec![(session(1), id(0))],
        ..MapChanges::default()
    };
    let map = AffinityMap::build(1, alike(3), 1.25).with_changes(2, &change);
    for (state, holds) in [
        (NodeState::Ready, true),
        (NodeState::Draining, true),
        (NodeState::Down, false),
        (NodeState::Joining, false),
    ] {
        let mut nodes = alike(3);
        nodes[0].state = state;
        let map = map.with_nodes(3, nodes);
        assert_eq!(place(&map, session(1)) == Some(&id(0)), holds, "{state:?}");
        assert_eq!(
            map.override_of(session(1)),
            Some(NodeIndex(0)),
            "{state:?}: remembered"
        );
        assert!(map.lookup(session(1)).is_some(), "{state:?}: someone serves it");
    }
}

#[test]
fn a_moved_bucket_is_at_home_while_its_node_is_not_ready() {
    let map = AffinityMap::build(1, alike(3), 1.25);
    let bucket = (0..=u16::MAX)
        .find(|b| owner(&map, *b) != Some(&id(0)))
        .expect("others own some");
    let change = MapChanges {
        set_buckets: vec![(bucket, id(0))],
        ..MapChanges::default()
    };
    let moved = map.with_changes(2, &change);
    assert_eq!(owner(&moved, bucket), Some(&id(0)));
    assert_eq!(map.changed_buckets(&moved), [bucket]);
    let session = SessionId(u128::from(bucket) << 112);
    assert_eq!(
        moved.next(session, |_| true),
        Some(NodeIndex(0)),
        "its owner comes before its walk"
    );
    let mut nodes = alike(3);
    nodes[0].state = NodeState::Draining;
    let draining = moved.with_nodes(3, nodes);
    assert_eq!(
        owner(&draining, bucket),
        draining
            .bucket_home(bucket)
            .and_then(|n| draining.node(n))
            .map(|n| &n.id)
    );
    assert_eq!(owner(&draining.with_nodes(4, alike(3)), bucket), Some(&id(0)));
}

#[test]
fn a_node_with_an_unusable_weight_owns_nothing() {
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let map = AffinityMap::build(1, vec![node(0, weight), node(1, 1.0)], 1.25);
        assert_eq!(map.buckets_per_node(), [0, 65_536], "{weight}");
    }
}

#[test]
fn next_finds_the_last_usable_node_among_a_thousand() {
    let map = AffinityMap::build(1, alike(1_000), 1.25);
    for key in 0..20 {
        assert_eq!(
            map.next(session(key), |n| n == NodeIndex(777)),
            Some(NodeIndex(777))
        );
    }
    assert_eq!(map.next(session(1), |_| false), None);
}
