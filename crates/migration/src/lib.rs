//! The state machines of a move: events in, actions out.
