//! The loop that observes, forecasts, plans and moves; the HTTP API.
