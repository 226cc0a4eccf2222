//! Who should live where: affinity map, consistent hashing with bounded loads, planner.
