//! Foreshift: moves load before it hurts. The command line.
fn main() {}
