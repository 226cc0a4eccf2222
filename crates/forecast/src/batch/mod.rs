//! Models for minutes to weeks ahead, fitted to a whole series.
