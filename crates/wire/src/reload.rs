//! What a reload did.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer of `POST /v1/reload`: what differs from the configuration that ran before, by key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// By key. Empty where the file says what it said before.
    pub changes: Vec<KeyChange>,
    /// What is allowed but probably not meant, as `foreshift check` says it.
    pub warnings: Vec<String>,
}

/// A key that a reload found changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyChange {
    /// The key. Listeners, pools and nodes are told by their names: `pool[app].node[a].weight`.
    pub key: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// True where it takes effect only with the next start: the process goes on with what it had.
    pub needs_restart: bool,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It has another value.
    Changed,
}
