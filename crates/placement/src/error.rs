//! What can be wrong with what this crate is given.

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A cluster secret is not 32 hexadecimal digits. The text itself is kept out of the message on purpose.
    #[error("the cluster secret has {length} characters or is not hexadecimal: use 32 hexadecimal digits")]
    Secret {
        /// Characters that were given.
        length: usize,
    },
}
