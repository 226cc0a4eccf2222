//! Shared, versioned truth: a watched key-value store with compare-and-swap.
