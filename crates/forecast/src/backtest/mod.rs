//! What forecasts would have been worth on a series' past.
