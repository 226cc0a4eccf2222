//! The state machines of a move: events in, actions out.
//!
//! Pure: nothing here knows a socket, a runtime or a clock. A shell performs the actions and feeds back what came
//! of them, so a hand-over with any failure in it can be replayed from the list of its events.

mod handover;
mod instruction;
mod pacer;

pub use handover::{Action, Event, Handover, Options, State};
pub use instruction::{Ask, Heard, Instruction};
pub use pacer::Pacer;
