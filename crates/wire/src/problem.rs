//! Errors over HTTP.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `application/problem+json`, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` where the title says all.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// Short and always the same for a kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong here, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

fn about_blank() -> String {
    "about:blank".into()
}

impl Problem {
    /// A problem without a kind of its own.
    pub fn new(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: about_blank(),
            title: title.into(),
            status,
            detail: detail.into(),
        }
    }
}
