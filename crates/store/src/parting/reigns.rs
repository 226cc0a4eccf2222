//! What each session used while a node served it.

use std::collections::{HashMap, VecDeque};

use foreshift_wire::{NodeId, SessionId};

use super::Place;

/// Parts of a partition that were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Used {
    /// As bits.
    pub(super) parts: u32,
    /// All of them at once.
    pub(super) is_whole: bool,
}

impl Used {
    fn and(self, other: Self) -> Self {
        Self {
            parts: self.parts | other.parts,
            is_whole: self.is_whole || other.is_whole,
        }
    }
}

/// What noting a use brought to light.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// A part was used that had been left out.
    pub(super) was_left: bool,
    /// What another session used, which there is no room for any more.
    pub(super) ended: Vec<(Place, Used)>,
}

/// Sessions that used something. Where there are too many, those that came first are counted as if they had moved.
#[derive(Debug)]
pub(super) struct Reigns {
    sessions: HashMap<SessionId, Session>,
    by_age: VecDeque<(SessionId, u64)>,
    begun: u64,
    sessions_max: usize,
}

#[derive(Debug, Default)]
struct Session {
    begun: u64,
    /// Where it went last.
    to: Option<NodeId>,
    partitions: Vec<(Place, Reign)>,
}

/// What a session used of one partition.
#[derive(Debug, Default)]
struct Reign {
    now: Used,
    /// In the reign before.
    before: Used,
    /// What was left out at the move.
    left: u32,
}

impl Reigns {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            sessions: HashMap::new(),
            by_age: VecDeque::new(),
            begun: 0,
            sessions_max,
        }
    }

    /// Sessions that are noted.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len().max(self.by_age.len())
    }

    pub(super) fn note(&mut self, session: SessionId, place: Place, used: Used) -> Noted {
        let mut noted = Noted::default();
        if !self.sessions.contains_key(&session) {
            noted.ended = self.begin(session);
        }
        if let Some(reign) = self
            .sessions
            .get_mut(&session)
            .map(|session| session.reign(place))
        {
            reign.now = reign.now.and(used);
            noted.was_left = reign.left & used.parts != 0 || (used.is_whole && reign.left != 0);
            reign.left &= if used.is_whole { 0 } else { !used.parts };
        }
        noted
    }

    /// A session moves: what it used before. Nothing where that is known already.
    pub(super) fn moves(&mut self, session: SessionId, to: &NodeId) -> Vec<(Place, Used)> {
        match self.sessions.get_mut(&session) {
            Some(session) if session.to.as_ref() != Some(to) => {
                session.to = Some(to.clone());
                let end = |(place, reign): &mut (Place, Reign)| {
                    reign.before = std::mem::take(&mut reign.now);
                    reign.left = 0;
                    (*place, reign.before)
                };
                session.partitions.iter_mut().map(end).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a session that moves used of a partition, until now.
    pub(super) fn used(&self, session: SessionId, place: Place) -> Used {
        let session = self.sessions.get(&session);
        let found = session.and_then(|session| session.partitions.iter().find(|(at, _)| *at == place));
        found.map_or_else(Used::default, |(_, reign)| reign.before.and(reign.now))
    }

    /// These parts are left out at its move.
    pub(super) fn left(&mut self, session: SessionId, place: Place, left: u32) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.reign(place).left = left;
        }
    }

    /// A session ends: what it used.
    pub(super) fn remove(&mut self, session: SessionId) -> Vec<(Place, Used)> {
        let removed = self.sessions.remove(&session);
        let partitions = removed.into_iter().flat_map(|session| session.partitions);
        partitions.map(|(place, reign)| (place, reign.now)).collect()
    }

    fn begin(&mut self, session: SessionId) -> Vec<(Place, Used)> {
        let mut ended = Vec::new();
        while self.by_age.len() >= self.sessions_max {
            let Some((oldest, begun)) = self.by_age.pop_front() else {
                break;
            };
            // It may have ended, and begun anew with another place in the queue.
            if self
                .sessions
                .get(&oldest)
                .is_some_and(|session| session.begun == begun)
            {
                ended.extend(self.remove(oldest));
            }
        }
        self.begun += 1;
        self.by_age.push_back((session, self.begun));
        let begun = Session {
            begun: self.begun,
            ..Session::default()
        };
        self.sessions.insert(session, begun);
        ended
    }
}

impl Session {
    fn reign(&mut self, place: Place) -> &mut Reign {
        let found = self.partitions.iter().position(|(at, _)| *at == place);
        let at = found.unwrap_or_else(|| {
            self.partitions.push((place, Reign::default()));
            self.partitions.len() - 1
        });
        &mut self.partitions[at].1
    }
}
