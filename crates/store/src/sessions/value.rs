//! A value: bytes with a content type.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Error,
    seal::{DataKey, Place},
};

/// A key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its media type, at most 255 bytes; `application/octet-stream` where nobody said.
    pub content_type: Arc<str>,
    /// The value.
    pub bytes: Bytes,
}

impl Value {
    /// Bytes of which nobody said what they are.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self {
            content_type: "application/octet-stream".into(),
            bytes: bytes.into(),
        }
    }

    /// Sealed for its place: a length, the content type, the value.
    pub(super) fn seal(&self, key: &DataKey, place: Place<'_>) -> Result<Bytes, Error> {
        let kind = &self.content_type.as_bytes()[..self.content_type.len().min(255)];
        key.seal(place, &[&[kind.len() as u8], kind, &self.bytes])
    }

    /// What was sealed for this place.
    pub(super) fn open(key: &DataKey, place: Place<'_>, sealed: &[u8]) -> Result<Self, Error> {
        Self::decode(&key.open(place, sealed)?)
    }

    fn decode(encoded: &Bytes) -> Result<Self, Error> {
        let damaged = || Error::Damaged("a value in the session store is cut short".into());
        let length = usize::from(*encoded.first().ok_or_else(damaged)?);
        let kind = encoded.get(1..=length).ok_or_else(damaged)?;
        let kind = std::str::from_utf8(kind).map_err(|_| damaged())?;
        Ok(Self {
            content_type: kind.into(),
            bytes: encoded.slice(1 + length..),
        })
    }
}
