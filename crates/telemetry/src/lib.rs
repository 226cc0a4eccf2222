//! Samples, roll-ups, mergeable histograms and heavy-hitter sketches.
