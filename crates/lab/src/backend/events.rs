//! `GET /events`: numbered server-sent events, begun after the one that the client saw last.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body::Frame;

use super::{Shared, session::Counter};
use crate::Answer;

/// One event each `every`, with the number after `last` first. An event's data is an [`Answer`] whose `push` is
/// its number.
pub(super) fn events(
    shared: Arc<Shared>,
    session: String,
    last: u64,
    every: Duration,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    let interval = tokio::time::interval(every.max(Duration::from_millis(1)));
    stream::unfold((interval, last + 1), move |(mut interval, number)| {
        let (shared, session) = (shared.clone(), session.clone());
        async move {
            interval.tick().await;
            let Counter { count, epoch } = shared.sessions.counter(&session);
            let answer = Answer {
                id: None,
                push: Some(number),
                count,
                epoch,
                node: shared.name.clone(),
            };
            let data = serde_json::to_string(&answer).unwrap_or_default();
            let event = Bytes::from(format!("id: {number}\ndata: {data}\n\n"));
            Some((Ok(Frame::data(event)), (interval, number + 1)))
        }
    })
}
