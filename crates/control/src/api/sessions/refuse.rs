//! What the store refuses, as problems.

use axum::http::{HeaderValue, StatusCode, header};
use foreshift_store::{Error, Refusal};
use foreshift_wire::entries::encode_key;

use super::condition::etag;
use crate::api::problem::ApiError;

/// Seconds after which an operation that the store could not do is worth another try.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refused(refusal),
            Error::Unavailable { unknown, .. } => {
                let so = match unknown {
                    true => "; a write may have been done all the same: read before you write again",
                    false => "; nothing was written: try again",
                };
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error}{so}"));
                problem.header(header::RETRY_AFTER, RETRY_AFTER)
            }
            other => {
                tracing::error!(error = %other, "session state");
                let detail = "the session's state cannot be read; the log has more";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

fn refused(refusal: Refusal) -> ApiError {
    let problem = ApiError::new(status(&refusal), refusal.to_string());
    match refusal {
        Refusal::Fenced { owner, epoch } => problem.member("owner", owner).member("epoch", epoch),
        Refusal::Conflict { key, found } => {
            let (name, tag) = etag(found);
            let problem = problem.member("version", found).header(name, tag);
            match key {
                Some(key) => problem.member("key", encode_key(&key)),
                None => problem,
            }
        }
        _ => problem,
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NoSession | Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::Revoked => StatusCode::GONE,
        Refusal::Fenced { .. } => StatusCode::CONFLICT,
        Refusal::Conflict { .. } => StatusCode::PRECONDITION_FAILED,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
