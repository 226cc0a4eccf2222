//! The data plane: accepts, routes, forwards, and moves open connections.
