//! Partitions of a session, whole.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foreshift_store::{Batch, Expiry, If, Part, Select};
use foreshift_wire::{
    ExpireRequest, FencedProblem, PartitionData, PartitionView, PartitionWrite, Problem, SinceFilter,
    Version, WrittenView, entries,
};

use super::{
    Desk, SessionStore,
    condition::{Conditions, Reading, etag},
    data,
    place::{PartitionPlace, SessionPlace},
    who::Who,
};
use crate::{
    api::{
        extract::{Json, Query},
        problem::{ApiError, Result},
    },
    clock,
};

/// The partitions that the caller may read (`get_partition_list`).
#[utoipa::path(
    get, path = "/v1/sessions/{id}/partitions", tag = "sessions",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 200, body = [PartitionView]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(desk): State<Desk>,
    Who(caller): Who,
    SessionPlace(id): SessionPlace,
) -> Result<axum::Json<Vec<PartitionView>>> {
    let SessionStore { sessions, config, .. } = desk.store()?;
    let partitions = sessions.partitions(&caller, id).await?.into_iter();
    Ok(axum::Json(
        partitions.map(|info| data::partition(info, config)).collect(),
    ))
}

/// A partition with its values, all at one moment (`get_partition_data`): as JSON, or as `application/vnd.foreshift.entries`
/// where `Accept` asks for that.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/partitions/{name}", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        SinceFilter, ("If-None-Match" = Option<String>, Header, description = "ETags that the client has"),
    ),
    responses(
        (status = 200, body = PartitionData, description = "The header ETag is its version"),
        (status = 304, description = "The client has it"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(desk): State<Desk>,
    Who(caller): Who,
    PartitionPlace(id, name): PartitionPlace,
    Query(SinceFilter { since }): Query<SinceFilter>,
    conditions: Conditions,
    headers: HeaderMap,
) -> Result<Response> {
    let select = since.map_or(Select::All, Select::Since);
    let part = desk.store()?.sessions.read(&caller, id, &name, select).await?;
    if part.info.keys == 0 && !part.is_delta {
        return Err(ApiError::not_found("there is no such partition"));
    }
    let version = part.info.version;
    let about = [
        etag(version),
        (header::VARY, HeaderValue::from_static("accept")),
        NO_CACHE,
    ];
    Ok(match conditions.reading(version) {
        Reading::NotModified => (StatusCode::NOT_MODIFIED, about).into_response(),
        Reading::Failed => return Err(failed(version)),
        Reading::Answer if wants_entries(&headers) => {
            let kind = [(header::CONTENT_TYPE, entries::CONTENT_TYPE)];
            (about, kind, as_entries(part, since)).into_response()
        }
        Reading::Answer => (about, axum::Json(data::data(part, since))).into_response(),
    })
}

/// State is no shared cache's to keep.
pub(super) const NO_CACHE: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("private, no-cache"),
);

/// A read whose `If-Match` does not hold.
pub(super) fn failed(version: Version) -> ApiError {
    let (name, tag) = etag(version);
    let detail = format!("it has version {version}");
    ApiError::new(StatusCode::PRECONDITION_FAILED, detail)
        .member("version", version)
        .header(name, tag)
}

fn wants_entries(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.contains(entries::CONTENT_TYPE))
    })
}

fn as_entries(part: Part, since: Option<Version>) -> Vec<u8> {
    let since = since.filter(|_| part.is_delta).unwrap_or_default();
    let head = entries::Head {
        partition: part.info.name.clone(),
        version: part.info.version,
        since,
        parts: None,
    };
    let mut items = vec![entries::Item::Head(head)];
    items.extend(part.entries.into_iter().map(|entry| {
        entries::Item::Entry(entries::Entry {
            partition: part.info.name.clone(),
            key: entry.key,
            version: entry.version,
            value: entry.value.map(|value| entries::EntryValue {
                content_type: value.content_type,
                bytes: value.bytes,
            }),
        })
    }));
    let mut body = Vec::new();
    items.iter().for_each(|item| item.encode(&mut body));
    body
}

/// Sets all of a partition (`set_partition_data`): keys that are not named go.
#[utoipa::path(
    put, path = "/v1/sessions/{id}/partitions/{name}", tag = "sessions", request_body = PartitionWrite,
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("If-Match" = Option<String>, Header, description = "Only where the partition has this ETag"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where it is not there"),
    ),
    responses(
        (status = 200, body = WrittenView),
        (status = 409, body = FencedProblem, content_type = "application/problem+json", description = "Another node serves the session now"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "A condition does not hold; nothing was written"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "It would be larger than its limit"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn replace(
    State(desk): State<Desk>,
    Who(caller): Who,
    PartitionPlace(id, name): PartitionPlace,
    conditions: Conditions,
    Json(write): Json<PartitionWrite>,
) -> Result<Response> {
    let batch = data::batch(write, conditions.write()?, true)?;
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await?;
    Ok(was_written(written))
}

/// Changes several keys as one: all, or none where a condition does not hold.
#[utoipa::path(
    patch, path = "/v1/sessions/{id}/partitions/{name}", tag = "sessions", request_body = PartitionWrite,
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("If-Match" = Option<String>, Header, description = "Only where the partition has this ETag"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where it is not there"),
    ),
    responses(
        (status = 200, body = WrittenView),
        (status = 409, body = FencedProblem, content_type = "application/problem+json", description = "Another node serves the session now"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "A condition does not hold; nothing was written"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "It would be larger than its limit"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change(
    State(desk): State<Desk>,
    Who(caller): Who,
    PartitionPlace(id, name): PartitionPlace,
    conditions: Conditions,
    Json(write): Json<PartitionWrite>,
) -> Result<Response> {
    let batch = data::batch(write, conditions.write()?, false)?;
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await?;
    Ok(was_written(written))
}

fn was_written(written: foreshift_store::Written) -> Response {
    let view = WrittenView {
        version: written.version,
        added: written.added,
        removed: written.removed,
    };
    ([etag(written.version)], axum::Json(view)).into_response()
}

/// Removes a partition.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/partitions/{name}", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`"),
        ("If-Match" = Option<String>, Header, description = "Only where the partition has this ETag"),
    ),
    responses((status = 204, description = "It is not there any more"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn remove(
    State(desk): State<Desk>,
    Who(caller): Who,
    PartitionPlace(id, name): PartitionPlace,
    conditions: Conditions,
) -> Result<StatusCode> {
    let condition = conditions.write()?;
    let batch = Batch {
        condition: there(condition),
        replace: true,
        expiry: Expiry::Never,
        ..Batch::default()
    };
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await;
    written.map_err(|error| missing(error, condition, "there is no such partition"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is removed must be there.
pub(super) fn there(condition: If) -> If {
    match condition {
        If::Any => If::Present,
        other => other,
    }
}

/// What was removed and is not there is 404, unless a condition was asked for.
pub(super) fn missing(error: foreshift_store::Error, asked: If, what: &str) -> ApiError {
    use foreshift_store::{Error, Refusal};
    match error {
        Error::Refused(Refusal::Conflict { .. }) if asked == If::Any => ApiError::not_found(what),
        other => other.into(),
    }
}

/// Says when a partition ends by itself.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/partitions/{name}/expire", tag = "sessions", request_body = ExpireRequest,
    params(("id" = String, Path, description = "The session's id"), ("name" = String, Path, description = "The partition's name, `/` in it as `%2F`")),
    responses((status = 200, body = WrittenView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn expire(
    State(desk): State<Desk>,
    Who(caller): Who,
    PartitionPlace(id, name): PartitionPlace,
    Json(ExpireRequest { after_ms }): Json<ExpireRequest>,
) -> Result<Response> {
    let at = after_ms.map(|after| clock::now_ms().saturating_add(after));
    let batch = Batch {
        condition: If::Present,
        expiry: at.map_or(Expiry::Never, Expiry::At),
        ..Batch::default()
    };
    let written = desk.store()?.sessions.write(&caller, id, &name, batch).await;
    let written = written.map_err(|error| missing(error, If::Any, "there is no such partition"))?;
    Ok(was_written(written))
}
