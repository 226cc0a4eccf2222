//! What was asked of a node and not answered yet, and what the connection was set up with.
//!
//! Pure. One answer for each request, in their order: so a connection is between two exchanges when nothing is
//! outstanding. Where the protocol breaks that rule the connection is pinned to its node, and the reason is kept.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::frames::{Command, Slot};

/// Times of requests that are kept; more are taken together.
const TIMES_MAX: usize = 256;
/// Set-up commands under way at once.
const SETTING_UP_MAX: usize = 32;

/// The books of one connection.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: u64,
    answered: u64,
    /// When requests were asked: so many, with one time, oldest first.
    times: VecDeque<(u64, Instant)>,
    /// By the number of its request: confirmed by an answer that is no error.
    setting_up: VecDeque<(u64, Slot, Box<[u8]>)>,
    set_up: BTreeMap<Slot, Box<[u8]>>,
    multi: bool,
    watch: bool,
    pinned: Option<&'static str>,
}

impl Ledger {
    /// Answers that are still to come.
    pub(super) fn outstanding(&self) -> u64 {
        self.asked - self.answered
    }

    /// No other node can go on, for this reason.
    pub(super) fn pinned(&self) -> Option<&'static str> {
        self.pinned
    }

    /// Something was begun that must end on this node.
    pub(super) fn is_within(&self) -> bool {
        self.multi || self.watch
    }

    /// A request was sent. Returns whether an answer is expected.
    pub(super) fn asked(&mut self, command: Command, bytes: &[u8], now: Instant) -> bool {
        match command {
            Command::Plain => {}
            Command::Unanswered => return false,
            Command::SetUp(_) if self.multi => self.pin("it was set up within a transaction"),
            Command::SetUp(_) if self.setting_up.len() >= SETTING_UP_MAX => {
                self.pin("too many commands set it up at once");
            }
            Command::SetUp(slot) => self.setting_up.push_back((self.asked, slot, bytes.into())),
            Command::Multi => self.multi = true,
            Command::Watch => self.watch = true,
            // Within a transaction it is one of its commands.
            Command::Unwatch => self.watch &= self.multi,
            Command::Exec => (self.multi, self.watch) = (false, false),
            Command::Reset => {
                (self.multi, self.watch) = (false, false);
                self.set_up.clear();
                self.setting_up.clear();
            }
            Command::Pin(why) => self.pin(why),
        }
        if self.pinned.is_some() {
            return false;
        }
        self.asked += 1;
        let full = self.times.len() >= TIMES_MAX;
        match self.times.back_mut() {
            Some((count, at)) if *at == now || full => *count += 1,
            _ => self.times.push_back((1, now)),
        }
        true
    }

    /// An answer came; `error`: it says that the request failed. Returns when the request was sent; `None` where nothing was asked.
    pub(super) fn answered(&mut self, error: bool) -> Option<Instant> {
        if self.pinned.is_some() {
            return None;
        }
        if self.outstanding() == 0 {
            self.pin("the node says what it was not asked for");
            return None;
        }
        if let Some((_, slot, bytes)) = self.setting_up.pop_front_if(|(n, ..)| *n == self.answered)
            && !error
        {
            self.set_up.insert(slot, bytes);
        }
        self.answered += 1;
        let (count, at) = self.times.front_mut()?;
        let at = *at;
        *count -= 1;
        if *count == 0 {
            self.times.pop_front();
        }
        Some(at)
    }

    /// Answers do not follow requests any more: nothing is outstanding, and nothing will be.
    fn pin(&mut self, why: &'static str) {
        self.pinned.get_or_insert(why);
    }

    /// Forgets what is outstanding; returns how many that were.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = self.outstanding();
        self.answered = self.asked;
        self.times.clear();
        self.setting_up.clear();
        lost
    }

    /// What the next node has to be told first, in order.
    pub(super) fn set_up(&self) -> Vec<Box<[u8]>> {
        self.set_up.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(ledger: &mut Ledger, command: Command) -> bool {
        ledger.asked(command, b"x", Instant::now())
    }

    #[test]
    fn only_what_a_node_accepted_is_repeated() {
        let mut ledger = Ledger::default();
        for (n, slot) in [Slot::Select, Slot::Auth, Slot::Hello, Slot::Select]
            .into_iter()
            .enumerate()
        {
            ask(&mut ledger, Command::Plain);
            ledger.asked(Command::SetUp(slot), &[n as u8], Instant::now());
        }
        for error in [false, false, true, true, false, false, false, false] {
            assert!(ledger.answered(error).is_some());
        }
        assert_eq!(ledger.outstanding(), 0);
        // Hello first; the first Select was replaced, and Auth failed.
        assert_eq!(ledger.set_up(), [Box::from([2]), Box::from([3])]);
        ask(&mut ledger, Command::Reset);
        assert!(ledger.set_up().is_empty());
    }

    #[test]
    fn what_is_not_asked_for_pins() {
        let mut ledger = Ledger::default();
        assert!(ask(&mut ledger, Command::Plain));
        assert!(ledger.answered(false).is_some());
        assert_eq!(ledger.pinned(), None);
        assert_eq!(ledger.answered(false), None);
        assert!(ledger.pinned().is_some());
    }

    #[test]
    fn a_transaction_is_left_as_it_was_entered() {
        let mut ledger = Ledger::default();
        for (command, within) in [
            (Command::Watch, true),
            (Command::Unwatch, false),
            (Command::Watch, true),
            (Command::Multi, true),
            (Command::Unwatch, true),
            (Command::Exec, false),
            (Command::Multi, true),
            (Command::Exec, false),
            (Command::Unanswered, false),
        ] {
            ask(&mut ledger, command);
            assert_eq!(ledger.is_within(), within);
        }
        assert_eq!(ledger.outstanding(), 8);
        ask(&mut ledger, Command::Multi);
        ask(&mut ledger, Command::SetUp(Slot::Select));
        assert!(ledger.pinned().is_some());
    }

    #[test]
    fn memory_is_bounded_however_many_requests_are_under_way() {
        let mut ledger = Ledger::default();
        let begun = Instant::now();
        for n in 0..100_000 {
            ledger.asked(Command::Plain, b"", begun + std::time::Duration::from_micros(n));
        }
        assert!(ledger.times.len() <= TIMES_MAX);
        for _ in 0..100_000 {
            assert!(ledger.answered(false).is_some());
        }
        assert!(ledger.times.is_empty());
    }
}
