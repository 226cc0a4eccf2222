//! Real backends with a capacity, open-loop load, traces: for the demo, tests and benches.
