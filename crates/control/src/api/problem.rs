//! Every failure as `application/problem+json`.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foreshift_wire::Problem;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::pool::Refusal;

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Sent>);

#[derive(Debug)]
struct Sent {
    problem: Problem,
    /// Further members of the problem.
    members: Map<String, Value>,
    headers: HeaderMap,
}

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self(Box::new(Sent {
            problem: Problem::new(status.as_u16(), title, detail),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// With a further member, for programs.
    pub(crate) fn member(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("it has only string keys");
        self.0.members.insert(name.into(), value);
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// What went wrong.
    pub(crate) fn detail(&self) -> &str {
        &self.0.problem.detail
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

#[derive(Serialize)]
struct WithMembers {
    #[serde(flatten)]
    problem: Problem,
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Sent {
            problem,
            members,
            headers,
        } = *self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let whole = WithMembers { problem, members };
        let body = serde_json::to_vec(&whole).expect("a problem has only string keys");
        let json = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, json)], headers, body).into_response()
    }
}
