//! Secrets in files: tokens and keys.
//!
//! A [`Token`] is made on first start and compared in a time that tells nothing about it. A file of keys is read only where nobody
//! but its owner can read it ([`read`]), and replaced as a whole under a lock ([`Locked`]): whoever dies half-way leaves the old
//! file or the new one. What is read is wiped from memory after use.
//!
//! What the secrets are for is known elsewhere; nothing here prints one.

mod file;
mod token;

pub use file::{Locked, read};
pub use token::Token;
