//! Models that were trained elsewhere, on many series.
