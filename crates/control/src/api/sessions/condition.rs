//! Conditional requests (RFC 9110, section 13): versions as entity tags.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};
use foreshift_store::If;
use foreshift_wire::Version;

use crate::api::problem::ApiError;

/// What `If-Match` and `If-None-Match` ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conditions {
    matches: Option<Tags>,
    matches_not: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    /// Those of ours; others match nothing.
    These(Vec<Tag>),
}

/// An entity tag that is none of ours is version 0, which nothing has.
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    version: Version,
    weak: bool,
}

/// What becomes of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is answered.
    Answer,
    /// The client has it: 304.
    NotModified,
    /// 412.
    Failed,
}

impl Conditions {
    /// As the headers say, or what is wrong with them.
    fn read(headers: &HeaderMap) -> Result<Self, String> {
        Ok(Self {
            matches: Tags::of(headers, &header::IF_MATCH)?,
            matches_not: Tags::of(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// For a write: one condition on the version.
    pub(super) fn write(&self) -> Result<If, ApiError> {
        let cannot = |what| Err(ApiError::new(StatusCode::BAD_REQUEST, what));
        match (&self.matches, &self.matches_not) {
            (None, None) => Ok(If::Any),
            (Some(Tags::Any), None) => Ok(If::Present),
            (None, Some(Tags::Any)) => Ok(If::Absent),
            (Some(Tags::These(tags)), None) => match tags.as_slice() {
                [tag] if !tag.weak => Ok(If::Is(tag.version)),
                // Weak tags are never equal to anything here.
                [_] => Ok(If::Is(Version(0))),
                _ => cannot("If-Match of a write takes one ETag, or *"),
            },
            (None, Some(Tags::These(_))) => cannot("If-None-Match of a write takes * only"),
            (Some(_), Some(_)) => cannot("send If-Match or If-None-Match, not both"),
        }
    }

    /// For a read of what has this version.
    pub(super) fn reading(&self, version: Version) -> Reading {
        let has = |tags: &Tags, weakly: bool| match tags {
            Tags::Any => true,
            Tags::These(tags) => tags
                .iter()
                .any(|tag| tag.version == version && (weakly || !tag.weak)),
        };
        match (&self.matches, &self.matches_not) {
            (Some(tags), _) if !has(tags, false) => Reading::Failed,
            (_, Some(tags)) if has(tags, true) => Reading::NotModified,
            _ => Reading::Answer,
        }
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, String> {
        let mut tags = Vec::new();
        for value in headers.get_all(name) {
            let wrong =
                || format!("{name} is no list of ETags such as \"17\"; send what an ETag header said");
            let text = value.to_str().map_err(|_| wrong())?.trim();
            if text == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in text.split(',') {
                tags.push(Tag::read(tag.trim()).ok_or_else(wrong)?);
            }
        }
        Ok((!tags.is_empty()).then_some(Self::These(tags)))
    }
}

impl Tag {
    fn read(text: &str) -> Option<Self> {
        let strong = text.strip_prefix("W/");
        let opaque = strong.unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
        let canonical = |version: &Version| version.to_string() == opaque;
        let version = opaque.parse().ok().filter(canonical).unwrap_or_default();
        Some(Self {
            version,
            weak: strong.is_some(),
        })
    }
}

/// A version as an entity tag.
pub(super) fn etag(version: Version) -> (HeaderName, HeaderValue) {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits are allowed in headers");
    (header::ETAG, tag)
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = ApiError;
    async fn from_request_parts(sent: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&sent.headers).map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(if_match: Option<&str>, if_none_match: Option<&str>) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            (header::IF_MATCH, if_match),
            (header::IF_NONE_MATCH, if_none_match),
        ] {
            if let Some(text) = text {
                headers.insert(name, text.parse().unwrap());
            }
        }
        Conditions::read(&headers).unwrap()
    }

    #[test]
    fn a_write_has_one_condition() {
        for (if_match, if_none_match, expected) in [
            (None, None, Ok(If::Any)),
            (Some("\"17\""), None, Ok(If::Is(Version(17)))),
            (Some("W/\"17\""), None, Ok(If::Is(Version(0)))),
            (Some("\"017\""), None, Ok(If::Is(Version(0)))),
            (Some("\"of another server\""), None, Ok(If::Is(Version(0)))),
            (Some("*"), None, Ok(If::Present)),
            (None, Some("*"), Ok(If::Absent)),
            (None, Some("\"17\""), Err(())),
            (Some("\"1\", \"2\""), None, Err(())),
            (Some("\"1\""), Some("*"), Err(())),
        ] {
            let condition = conditions(if_match, if_none_match).write().map_err(|_| ());
            assert_eq!(condition, expected, "{if_match:?} {if_none_match:?}");
        }
    }

    #[test]
    fn a_read_is_answered_unless_the_client_has_it_or_wants_another_version() {
        for (if_match, if_none_match, expected) in [
            (None, None, Reading::Answer),
            (None, Some("\"17\""), Reading::NotModified),
            (None, Some("W/\"17\""), Reading::NotModified),
            (None, Some("\"1\", \"17\""), Reading::NotModified),
            (None, Some("*"), Reading::NotModified),
            (None, Some("\"16\""), Reading::Answer),
            (Some("\"17\""), None, Reading::Answer),
            (Some("\"16\""), None, Reading::Failed),
            (Some("W/\"17\""), None, Reading::Failed),
            (Some("*"), None, Reading::Answer),
        ] {
            let reading = conditions(if_match, if_none_match).reading(Version(17));
            assert_eq!(reading, expected, "{if_match:?} {if_none_match:?}");
        }
    }

    #[test]
    fn what_is_no_tag_is_an_error() {
        for wrong in ["17", "\"17", "", "\"1\",", "W/17", "\""] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, wrong.parse().unwrap());
            assert!(Conditions::read(&headers).is_err(), "{wrong:?}");
        }
    }
}
