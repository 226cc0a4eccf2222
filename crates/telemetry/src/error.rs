//! What cannot be taken in.

/// Why a measurement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A histogram that travelled has a bucket that ours do not have, or has it out of order: it was made
    /// with other parameters.
    #[error("histogram bucket {index} does not exist or is out of order, there are {buckets}")]
    Bucket {
        /// The bucket.
        index: u32,
        /// How many there are.
        buckets: usize,
    },
}
