//! Laws of splitting.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;

fn names() -> (PoolName, PartitionName) {
    (PoolName::new("app").unwrap(), PartitionName::new("game").unwrap())
}

fn node(n: u64) -> NodeId {
    NodeId::new(["a", "b"][n as usize % 2]).unwrap()
}

/// A session of its own uses these parts, and moves.
fn reign(parting: &Parting, session: u64, parts: &[&str]) -> Leaves {
    let (pool, partition) = names();
    let id = SessionId(session.into());
    let keys: Vec<String> = parts.iter().map(|part| format!("{part}/key")).collect();
    parting.used(&pool, id, &partition, keys.iter().map(String::as_bytes));
    parting.moves(id, &node(0));
    parting.leaves(&pool, id, &partition)
}

fn left(leaves: &Leaves) -> Vec<&[u8]> {
    leaves.0.iter().map(|name| &**name).collect()
}

fn decision(parting: &Parting) -> Splitting {
    parting.views().remove(0).decision
}

/// Reigns of which each uses parts with these chances, and how often a decision changed.
fn changes(seed: u64, reigns: u64, draw: impl Fn(&mut SmallRng) -> Vec<&'static str>) -> u64 {
    let parting = Parting::default();
    let mut rng = SmallRng::seed_from_u64(seed);
    for session in 0..reigns {
        let parts = draw(&mut rng);
        reign(&parting, session, &parts);
    }
    parting.views().first().map_or(0, |view| view.changes)
}

proptest! {
    #[test]
    fn nothing_is_left_out_without_evidence(
        reigns in prop::collection::vec(prop::collection::btree_set(0..6usize, 1..4), 1..31),
    ) {
        let parting = Parting::default();
        for (session, parts) in reigns.iter().enumerate() {
            let parts: Vec<_> = parts.iter().map(|n| ["a", "b", "c", "d", "e", "f"][*n]).collect();
            prop_assert_eq!(reign(&parting, session as u64, &parts), Leaves::default());
        }
    }

    #[test]
    fn what_is_used_together_is_never_left_out(reigns in 32..300u64, alone in 0..40u64) {
        let parting = Parting::default();
        for session in 0..reigns {
            // Now and then one of them alone.
            let parts: &[_] = if session % 41 < alone / 4 { &["map"] } else { &["map", "inventory"] };
            prop_assert_eq!(reign(&parting, session, parts), Leaves::default());
        }
    }

    #[test]
    fn a_part_that_the_session_used_is_never_left_out(
        seed in any::<u64>(),
        used in prop::collection::btree_set(0..4usize, 1..4),
    ) {
        let parting = Parting::default();
        let mut rng = SmallRng::seed_from_u64(seed);
        let all = ["a", "b", "c", "d"];
        for session in 0..300 {
            reign(&parting, session, &[all[rng.random_range(0..4)]]);
        }
        let used: Vec<_> = used.into_iter().map(|n| all[n]).collect();
        let leaves = reign(&parting, 1_000, &used);
        for part in all {
            let is_left = leaves.0.contains(part.as_bytes());
            prop_assert_eq!(is_left, !used.contains(&part), "{}", part);
        }
    }

    #[test]
    fn memory_stays_bounded(uses in prop::collection::vec((0..500u64, 0..200usize, any::<bool>()), 1..400)) {
        let parting = Parting::bounded(50);
        let pool = PoolName::new("app").unwrap();
        for (session, n, is_moved) in uses {
            let partition = PartitionName::new(&format!("p{n}")).unwrap();
            let key = format!("{n}/x");
            parting.used(&pool, SessionId(session.into()), &partition, std::iter::once(key.as_bytes()));
            if is_moved {
                parting.moves(SessionId(session.into()), &node(session));
            }
            let state = parting.lock();
            prop_assert!(state.reigns.sessions() <= 50 && state.measured.len() <= PARTITIONS_MAX);
        }
    }
}

#[test]
fn parts_that_are_used_apart_are_left_out_and_joined_again_when_used_together() {
    let parting = Parting::default();
    for session in 0..100 {
        reign(
            &parting,
            session,
            if session % 2 == 0 {
                &["meta", "map"]
            } else {
                &["meta", "inventory"]
            },
        );
    }
    let Splitting::Split {
        always,
        groups,
        closest,
    } = decision(&parting)
    else {
        panic!("{:?}", decision(&parting));
    };
    assert_eq!(always, ["meta"]);
    assert_eq!(groups, [["map"], ["inventory"]]);
    assert_eq!(closest.share, 0.0);
    assert_eq!(left(&reign(&parting, 1_000, &["map"])), [b"inventory"]);
    assert_eq!(left(&reign(&parting, 1_001, &["inventory"])), [b"map"]);
    assert_eq!(
        left(&reign(&parting, 1_002, &["inventory", "map"])),
        [] as [&[u8]; 0]
    );
    assert_eq!(
        left(&reign(&parting, 1_003, &[])),
        [] as [&[u8]; 0],
        "nothing is known of it"
    );
    assert_eq!(
        left(&reign(&parting, 1_004, &["new"])),
        [b"inventory".as_slice(), b"map"]
    );
    for session in 2_000..2_200 {
        reign(&parting, session, &["meta", "map", "inventory"]);
    }
    assert_eq!(left(&reign(&parting, 3_000, &["map"])), [b"new"]);
}

#[test]
fn decisions_do_not_flap_under_noise() {
    // Two parts, used both with this chance where one is used: near both bounds, between them, and far away.
    for share in [0.05, 0.15, 0.2, 0.25, 0.3, 0.35, 0.6] {
        for seed in 0..3 {
            let changes = changes(seed, 6_000, |rng| {
                if rng.random_bool(share) {
                    vec!["a", "b"]
                } else if rng.random_bool(0.5) {
                    vec!["a"]
                } else {
                    vec!["b"]
                }
            });
            // Apart or joined, and each of the two always told or not: at most one change of each is expected.
            assert!(changes <= 4, "{changes} changes at {share}, seed {seed}");
        }
    }
}

#[test]
fn the_second_time_it_is_the_same_move_and_a_use_of_what_was_left_is_a_miss() {
    let parting = Parting::default();
    let (pool, partition) = names();
    for session in 0..100 {
        reign(
            &parting,
            session,
            if session % 2 == 0 {
                &["map"]
            } else {
                &["inventory"]
            },
        );
    }
    let id = SessionId(1_000);
    assert_eq!(left(&reign(&parting, 1_000, &["map"])), [b"inventory"]);
    let reigns = parting.views()[0].reigns;
    parting.moves(id, &node(0));
    assert_eq!(left(&parting.leaves(&pool, id, &partition)), [b"inventory"]);
    assert_eq!(parting.views()[0].reigns, reigns);
    // Caught up before the switch, or used by the new node after it.
    parting.used(
        &pool,
        id,
        &partition,
        std::iter::once(b"inventory/sword".as_slice()),
    );
    assert_eq!(left(&parting.leaves(&pool, id, &partition)), [] as [&[u8]; 0]);
    assert_eq!(parting.views()[0].misses, 1);
    parting.used_whole(&pool, id, &partition);
    parting.moves(id, &node(1));
    assert_eq!(
        left(&parting.leaves(&pool, id, &partition)),
        [] as [&[u8]; 0],
        "all of it was read"
    );
    assert_eq!(parting.views()[0].reigns, reigns + 1);
}

#[test]
fn a_partition_of_too_many_parts_is_told_whole() {
    let parting = Parting::default();
    for session in 0..200 {
        let part = format!("part{}", session % 40);
        assert_eq!(left(&reign(&parting, session, &[&part])), [] as [&[u8]; 0]);
    }
    assert_eq!(decision(&parting), Splitting::TooMany);
    let parting = Parting::default();
    reign(&parting, 0, &["x".repeat(65).as_str()]);
    assert_eq!(decision(&parting), Splitting::TooMany);
}
