//! A value: bytes with a content type.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::Error;

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

    /// As it is sealed: a length, the content type, the value.
    pub(super) fn encode(&self) -> Bytes {
        let kind = &self.content_type.as_bytes()[..self.content_type.len().min(255)];
        let mut out = BytesMut::with_capacity(1 + kind.len() + self.bytes.len());
        out.put_u8(kind.len() as u8);
        out.extend_from_slice(kind);
        out.extend_from_slice(&self.bytes);
        out.freeze()
    }

    pub(super) fn decode(encoded: &Bytes) -> Result<Self, Error> {
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
