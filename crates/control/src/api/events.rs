//! `/v1/events`: what happens, while it happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::sse::{self, KeepAlive, Sse},
};
use foreshift_wire::{Event, PoolFilter, PoolName, Problem};
use futures_util::{Stream, stream};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use super::{
    App,
    extract::Query,
    problem::{ApiError, Result},
};
use crate::{bus::Told, stop::stopped};

/// Readers at once.
const READERS_MAX: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Server-sent events, named by their `type`: `tick`, `move`, `node`. A reader that is too slow gets an event
/// `lagged` with `{"missed": n}` in place of the `n` events it missed.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(PoolFilter),
    responses(
        (status = 200, body = Event, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn stream(
    State(app): State<App>,
    Query(filter): Query<PoolFilter>,
) -> Result<Sse<impl Stream<Item = std::result::Result<sse::Event, Infallible>>>> {
    if let Some(pool) = &filter.pool {
        app.pool(pool.as_str())?;
    }
    if app.bus.listeners() >= READERS_MAX {
        let detail = format!("{READERS_MAX} readers are listening already; close one");
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    let reader = Reader {
        events: app.bus.subscribe(),
        stop: app.stop,
        pool: filter.pool,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Reader {
    events: Receiver<Arc<Told>>,
    stop: watch::Receiver<bool>,
    pool: Option<PoolName>,
}

impl Reader {
    /// The next event that is wanted; `None` once the process stops.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let received = tokio::select! {
                received = self.events.recv() => received,
                () = stopped(&mut self.stop) => return None,
            };
            match received {
                Ok(told) if self.wants(&told.event) => {
                    return Some(sse::Event::default().event(name(&told.event)).data(told.json()));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    let data = format!("{{\"missed\":{missed}}}");
                    return Some(sse::Event::default().event("lagged").data(data));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.pool.as_ref().is_none_or(|wanted| match event {
            Event::Tick { pool, .. } | Event::Node { pool, .. } | Event::Outlier { pool, .. } => {
                pool == wanted
            }
            Event::Move(made) => made.pool == *wanted,
        })
    }
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Tick { .. } => "tick",
        Event::Move(_) => "move",
        Event::Node { .. } => "node",
        Event::Outlier { .. } => "outlier",
    }
}
