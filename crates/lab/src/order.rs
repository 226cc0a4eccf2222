//! Counts what was lost, duplicated and reordered. Pure: numbers in, verdicts out.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::Answer;

/// A stream of numbers that should be 1, 2, 3 …, and how it deviates.
///
/// A number that was skipped is missing until it comes late, which makes it reordered; what is missing in the
/// end is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    highest: u64,
    missing: BTreeSet<u64>,
    duplicated: u64,
    reordered: u64,
}

/// Skipped numbers that are remembered at most; a stream that jumps further is not one of ours.
const MISSING_MAX: u64 = 100_000;

impl Sequence {
    /// Takes note of a number. True where it is the one that was due.
    pub fn see(&mut self, number: u64) -> bool {
        if number == self.highest + 1 {
            self.highest = number;
            return true;
        }
        if number > self.highest {
            let skipped = (number - self.highest - 1).min(MISSING_MAX);
            self.missing.extend(number - skipped..number);
            self.highest = number;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.duplicated += 1;
        }
        false
    }

    /// Numbers skipped up to the highest one seen, and not seen since.
    pub fn missing(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Numbers seen more than once.
    pub fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// Numbers that came after a higher one.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// The highest number seen.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Skipped, repeated and late numbers together.
    pub fn disorder(&self) -> u64 {
        self.missing() + self.duplicated + self.reordered
    }
}

/// What became of the messages of one connection, or of many added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Work items sent.
    pub sent: u64,
    /// Answers received, each work item once.
    pub answered: u64,
    /// Messages received that nobody asked for.
    pub pushed: u64,
    /// Work items without an answer, and pushed messages that never came.
    pub lost: u64,
    /// Answers and pushed messages that came twice.
    pub duplicated: u64,
    /// Answers and pushed messages that came after a later one.
    pub reordered: u64,
    /// Messages that no backend sent like that.
    pub corrupted: u64,
    /// Times that a session's counter began anew or went back: its state was lost on the way.
    pub counters_lost: u64,
}

impl Tally {
    /// True where nothing went wrong.
    pub fn is_clean(&self) -> bool {
        let Self {
            lost,
            duplicated,
            reordered,
            corrupted,
            counters_lost,
            ..
        } = *self;
        lost + duplicated + reordered + corrupted + counters_lost == 0
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.pushed += other.pushed;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.counters_lost += other.counters_lost;
    }
}

/// Checks the answers of one connection against what was sent on it.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    pending: VecDeque<u64>,
    tally: Tally,
    answers: Sequence,
    pushes: Sequence,
    last: Option<(u64, u64)>,
}

impl Checker {
    /// The number for the next work item.
    pub fn send(&mut self) -> u64 {
        self.tally.sent += 1;
        self.pending.push_back(self.tally.sent);
        self.tally.sent
    }

    /// Takes note of an answer. The number of the work item that it answers, the first time that it does.
    pub fn receive(&mut self, answer: &Answer) -> Option<u64> {
        self.follow_counter(answer);
        if let Some(number) = answer.push {
            self.tally.pushed += 1;
            self.pushes.see(number);
            return None;
        }
        let Some(at) = answer
            .id
            .and_then(|id| self.pending.iter().position(|p| *p == id))
        else {
            match answer.id {
                Some(id) if (1..=self.tally.sent).contains(&id) => _ = self.answers.see(id),
                _ => self.tally.corrupted += 1,
            }
            return None;
        };
        let id = self.pending.remove(at)?;
        self.answers.see(id);
        self.tally.answered += 1;
        Some(id)
    }

    /// Takes note of a message that is no answer at all.
    pub fn receive_garbage(&mut self) {
        self.tally.corrupted += 1;
    }

    fn follow_counter(&mut self, answer: &Answer) {
        let (epoch, count) = (answer.epoch, answer.count);
        let grows = u64::from(answer.push.is_none());
        if let Some((last_epoch, last_count)) = self.last {
            if last_epoch != epoch {
                self.tally.counters_lost += 1;
                // A session that begins anew numbers its own messages from 1 again.
                self.tally.duplicated += self.pushes.duplicated();
                self.tally.reordered += self.pushes.reordered();
                self.tally.lost += self.pushes.missing();
                self.pushes = Sequence::default();
            } else if count < last_count + grows {
                self.tally.counters_lost += 1;
            }
        }
        self.last = Some((epoch, count));
    }

    /// Work items that wait for their answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The result if nothing more arrives.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally;
        tally.lost += self.pending.len() as u64 + self.pushes.missing();
        tally.duplicated += self.answers.duplicated() + self.pushes.duplicated();
        tally.reordered += self.answers.reordered() + self.pushes.reordered();
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u64, count: u64, epoch: u64) -> Answer {
        Answer {
            id: Some(id),
            push: None,
            count,
            epoch,
            node: "a".into(),
        }
    }

    #[test]
    fn a_sequence_tells_skipped_late_and_repeated_numbers_apart() {
        for (seen, missing, duplicated, reordered) in [
            (&[1, 2, 3][..], 0, 0, 0),
            (&[1, 3], 1, 0, 0),
            (&[2, 1], 0, 0, 1),
            (&[1, 1, 2], 0, 1, 0),
            (&[3, 1, 1], 1, 1, 1),
        ] {
            let mut sequence = Sequence::default();
            for number in seen {
                sequence.see(*number);
            }
            let found = (sequence.missing(), sequence.duplicated(), sequence.reordered());
            assert_eq!(found, (missing, duplicated, reordered), "{seen:?}");
        }
    }

    #[test]
    fn a_checker_counts_each_fault_once() {
        type Case<'a> = (&'a [(u64, u64, u64)], [u64; 5]);
        let cases: [Case<'_>; 7] = [
            (&[(1, 1, 9), (2, 2, 9), (3, 3, 9)], [0, 0, 0, 0, 0]),
            (&[(1, 1, 9), (3, 2, 9)], [1, 0, 0, 0, 0]),
            (&[(1, 1, 9), (3, 2, 9), (2, 3, 9)], [0, 0, 1, 0, 0]),
            (&[(1, 1, 9), (1, 2, 9), (2, 3, 9), (3, 4, 9)], [0, 1, 0, 0, 0]),
            (&[(1, 1, 9), (2, 1, 8), (3, 2, 8)], [0, 0, 0, 0, 1]),
            (&[(1, 5, 9), (2, 4, 9), (3, 5, 9)], [0, 0, 0, 0, 1]),
            (&[(1, 1, 9), (2, 2, 9), (3, 3, 9), (4, 4, 9)], [0, 0, 0, 1, 0]),
        ];
        for (answers, expected) in cases {
            let mut checker = Checker::default();
            for _ in 0..3 {
                checker.send();
            }
            for (id, count, epoch) in answers {
                checker.receive(&answer(*id, *count, *epoch));
            }
            let t = checker.tally();
            let found = [t.lost, t.duplicated, t.reordered, t.corrupted, t.counters_lost];
            assert_eq!(found, expected, "{answers:?}");
        }
    }

    #[test]
    fn other_connections_may_raise_the_counter_between_two_answers() {
        let mut checker = Checker::default();
        for (id, count) in [(1, 4), (2, 9)] {
            checker.send();
            assert_eq!(checker.receive(&answer(id, count, 1)), Some(id));
        }
        assert!(checker.tally().is_clean());
    }
}
