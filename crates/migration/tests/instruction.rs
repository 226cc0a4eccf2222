//! Laws of an instruction, for any order of what is heard: it ends once, and no client is both let in and sent away.

use std::collections::BTreeSet;

use foreshift_migration::{Ask, Heard, Instruction};
use foreshift_wire::ConnectionId;
use proptest::prelude::*;

fn heard(streams: u64) -> impl Strategy<Value = Heard> {
    let id = (0..streams).prop_map(ConnectionId);
    prop_oneof![
        6 => id.clone().prop_map(Heard::Arrived),
        2 => id.clone().prop_map(|id| Heard::Refused(id, "no".into())),
        1 => id.prop_map(Heard::Left),
        1 => Just(Heard::TimeUp),
        1 => Just(Heard::Cancelled),
    ]
}

proptest! {
    #[test]
    fn it_ends_exactly_once_and_says_nothing_afterwards(
        streams in 0u64..6,
        story in proptest::collection::vec(heard(6), 0..40),
    ) {
        let (mut instruction, mut asks) = Instruction::start((0..streams).map(ConnectionId));
        let mut over = asks.iter().any(is_last);
        let mut arrived = BTreeSet::new();
        for heard in story.into_iter().chain([Heard::TimeUp]) {
            if let (Heard::Arrived(id), false) = (&heard, over) {
                arrived.insert(*id);
            }
            let cancelled = heard == Heard::Cancelled;
            let said = instruction.on(heard);
            prop_assert!(!over || said.is_empty(), "{said:?} after the end");
            for ask in &said {
                // Whoever has come is only sent away where the whole move is off.
                if let Ask::Withdraw(id) = ask {
                    prop_assert!(cancelled || !arrived.contains(id));
                }
            }
            prop_assert_eq!(said.iter().any(is_last), said.last().is_some_and(is_last));
            over |= said.iter().any(is_last);
            asks.extend(said);
        }
        prop_assert!(over, "time is up, and it goes on");
        prop_assert_eq!(asks.iter().filter(|a| is_last(a)).count(), 1);
        let told = asks.iter().filter(|a| matches!(a, Ask::Tell(_))).count();
        prop_assert_eq!(told as u64, streams, "each stream is told once");
    }

    #[test]
    fn it_falls_back_exactly_where_a_client_that_is_still_there_did_not_come(
        answers in proptest::collection::vec(0u8..4, 1..6),
    ) {
        let ids: Vec<_> = (0..answers.len() as u64).map(ConnectionId).collect();
        let (mut instruction, _) = Instruction::start(ids.clone());
        let mut asks = Vec::new();
        for (id, answer) in ids.iter().zip(&answers) {
            match answer {
                0 => asks.extend(instruction.on(Heard::Arrived(*id))),
                1 => asks.extend(instruction.on(Heard::Refused(*id, "no".into()))),
                2 => asks.extend(instruction.on(Heard::Left(*id))),
                _ => {}
            }
        }
        asks.extend(instruction.on(Heard::TimeUp));
        let expected = answers.iter().any(|a| matches!(a, 1 | 3));
        let Some(Ask::HandOver { fell_back }) = asks.last() else {
            return Err(TestCaseError::fail(format!("{asks:?}")));
        };
        prop_assert_eq!(fell_back.is_some(), expected);
    }
}

fn is_last(ask: &Ask) -> bool {
    matches!(ask, Ask::HandOver { .. } | Ask::Stop)
}
