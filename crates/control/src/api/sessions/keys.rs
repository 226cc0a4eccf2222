//! One key: its value as it is, with its media type.

use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use foreshift_store::{Batch, Change, If, Select, Value};
use foreshift_wire::{FencedProblem, Problem};

use super::{
    Desk,
    condition::{Conditions, Reading, etag},
    data,
    partitions::{NO_CACHE, failed, missing, there},
    place::KeyPlace,
    who::Who,
};
use crate::api::problem::{ApiError, Result};

/// Where nobody says what a value is.
const BYTES: &str = "application/octet-stream";

/// A key's value.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/partitions/{name}/{*key}", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("key" = String, Path, description = "The key: the rest of the path, percent-encoded"),
        ("If-None-Match" = Option<String>, Header, description = "ETags that the client has"),
    ),
    responses(
        (status = 200, body = [u8], content_type = "*/*", description = "With the Content-Type that it was set with; the header ETag is its version"),
        (status = 304, description = "The client has it"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(desk): State<Desk>,
    Who(caller): Who,
    KeyPlace(id, name, key): KeyPlace,
    conditions: Conditions,
) -> Result<Response> {
    let select = Select::Keys(vec![key]);
    let part = desk.store()?.sessions.read(&caller, id, &name, select).await?;
    let found = part
        .entries
        .into_iter()
        .find_map(|entry| Some((entry.version, entry.value?)));
    let (version, value) = found.ok_or_else(nothing)?;
    let about = [etag(version), NO_CACHE];
    match conditions.reading(version) {
        Reading::NotModified => Ok((StatusCode::NOT_MODIFIED, about).into_response()),
        Reading::Failed => Err(failed(version)),
        Reading::Answer => {
            let kind = HeaderValue::from_str(&value.content_type).unwrap_or(HeaderValue::from_static(BYTES));
            // A page of ours it is not, whatever a node stored: no browser is to take it for one.
            let inert = [
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            ];
            Ok((about, inert, [(header::CONTENT_TYPE, kind)], value.bytes).into_response())
        }
    }
}

fn nothing() -> ApiError {
    ApiError::not_found("there is no such key")
}

/// Sets a key to the body's bytes, with its `Content-Type`.
#[utoipa::path(
    put, path = "/v1/sessions/{id}/partitions/{name}/{*key}", tag = "sessions", request_body(content = [u8], content_type = "*/*"),
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("key" = String, Path, description = "The key: the rest of the path, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only where the key has this ETag"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where it is not there"),
    ),
    responses(
        (status = 201, description = "It was not there before; the header ETag is its version"),
        (status = 204, description = "It was there before; the header ETag is its version"),
        (status = 409, body = FencedProblem, content_type = "application/problem+json", description = "Another node serves the session now"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "The condition does not hold; nothing was written"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "The value or its partition would be larger than its limit"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn write(
    State(desk): State<Desk>,
    Who(caller): Who,
    KeyPlace(id, name, key): KeyPlace,
    conditions: Conditions,
    headers: HeaderMap,
    body: Request,
) -> Result<Response> {
    let condition = conditions.write()?;
    let content_type = content_type(&headers)?;
    let bytes = Bytes::from_request(body, &()).await;
    let bytes = bytes.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let value = Some(Value { content_type, bytes });
    let batch = Batch {
        changes: vec![Change {
            key,
            condition,
            value,
        }],
        ..Batch::default()
    };
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await?;
    let status = match written.added {
        0 => StatusCode::NO_CONTENT,
        _ => StatusCode::CREATED,
    };
    Ok((status, [etag(written.version)]).into_response())
}

fn content_type(headers: &HeaderMap) -> Result<std::sync::Arc<str>> {
    let said = headers
        .get(header::CONTENT_TYPE)
        .map_or(Ok(BYTES), |value| value.to_str());
    let kind = said
        .map_err(|_| "the header Content-Type is no text".to_owned())
        .and_then(data::content_type);
    kind.map_err(|why| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

/// Removes a key.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/partitions/{name}/{*key}", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("key" = String, Path, description = "The key: the rest of the path, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only where the key has this ETag"),
    ),
    responses(
        (status = 204, description = "It is not there any more; the header ETag is the partition's version"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(desk): State<Desk>,
    Who(caller): Who,
    KeyPlace(id, name, key): KeyPlace,
    conditions: Conditions,
) -> Result<Response> {
    let asked: If = conditions.write()?;
    let change = Change {
        key,
        condition: there(asked),
        value: None,
    };
    let batch = Batch {
        changes: vec![change],
        ..Batch::default()
    };
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await;
    let written = written.map_err(|error| missing(error, asked, "there is no such key"))?;
    Ok((StatusCode::NO_CONTENT, [etag(written.version)]).into_response())
}
