//! Telling a session's clients to move by themselves, up to the hand-over that they have asked for.
//!
//! Each stream of the session is told, and each client answers: it arrives with a new connection, or it does not.
//! When all have answered, or the time is up, the hand-over of the whole session begins ([`crate::Handover`]): streams whose
//! client has arrived change their client's connection with their node, the others are switched by the proxy. So no
//! answer, and no failure of a client, keeps a session from being moved.
//!
//! Pure: the time limit is the shell's, which feeds [`Heard::TimeUp`] once.

use std::collections::BTreeMap;

use foreshift_wire::ConnectionId;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A stream's client has opened its new connection.
    Arrived(ConnectionId),
    /// It will not come.
    Refused(ConnectionId, String),
    /// A stream ended, or its old node did.
    Left(ConnectionId),
    /// The clients had their time.
    TimeUp,
    /// The move is not wanted any more.
    Cancelled,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Tell a stream's client.
    Tell(ConnectionId),
    /// Take its instruction back: it is not let in any more, and a new connection of it is closed.
    Withdraw(ConnectionId),
    /// Hand the session over. The last.
    HandOver {
        /// Why not all clients come, where it is so.
        fell_back: Option<String>,
    },
    /// There is nothing more to do: the move was called off. The last.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Told,
    Arrived,
    Refused(String),
}

/// One session's instruction.
#[derive(Debug)]
pub struct Instruction {
    streams: BTreeMap<ConnectionId, Standing>,
    over: bool,
}

impl Instruction {
    /// Begins. What to do comes first; what is heard follows.
    pub fn start(streams: impl IntoIterator<Item = ConnectionId>) -> (Self, Vec<Ask>) {
        let streams: BTreeMap<_, _> = streams.into_iter().map(|id| (id, Standing::Told)).collect();
        let mut asks: Vec<_> = streams.keys().map(|id| Ask::Tell(*id)).collect();
        let mut instruction = Self { streams, over: false };
        instruction.advance(&mut asks);
        (instruction, asks)
    }

    /// Takes in what was heard; returns what to do. After [`Ask::HandOver`] and [`Ask::Stop`] there is nothing more.
    pub fn on(&mut self, heard: Heard) -> Vec<Ask> {
        let mut asks = Vec::new();
        if self.over {
            return asks;
        }
        match heard {
            Heard::Arrived(id) => self.note(id, Standing::Arrived),
            Heard::Refused(id, reason) => self.note(id, Standing::Refused(reason)),
            Heard::Left(id) => drop(self.streams.remove(&id)),
            Heard::TimeUp => self.give_up(&mut asks),
            Heard::Cancelled => {
                asks.extend(self.streams.keys().map(|id| Ask::Withdraw(*id)));
                asks.push(Ask::Stop);
                self.over = true;
                return asks;
            }
        }
        self.advance(&mut asks);
        asks
    }

    /// A client that refused may do so after it has arrived, but not the other way round.
    fn note(&mut self, id: ConnectionId, standing: Standing) {
        if let Some(now) = self.streams.get_mut(&id)
            && !matches!(now, Standing::Refused(_))
        {
            *now = standing;
        }
    }

    fn give_up(&mut self, asks: &mut Vec<Ask>) {
        for (id, standing) in &mut self.streams {
            if *standing == Standing::Told {
                *standing = Standing::Refused("the client did not come in time".into());
                asks.push(Ask::Withdraw(*id));
            }
        }
    }

    fn advance(&mut self, asks: &mut Vec<Ask>) {
        if self.streams.values().any(|s| *s == Standing::Told) {
            return;
        }
        let refused = self.streams.values().find_map(|s| match s {
            Standing::Refused(reason) => Some(reason.clone()),
            Standing::Told | Standing::Arrived => None,
        });
        asks.push(Ask::HandOver { fell_back: refused });
        self.over = true;
    }
}
