//! Bodies on their way: a request's within its limit, an answer's to whose end the request lasts.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body_util::Limited;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::answer::Guard;
use crate::http1::is_ours;

/// A request's body. Trailers in our name are dropped.
pub(super) struct RequestBody(Option<Limited<Incoming>>);

impl RequestBody {
    /// At most `limit` bytes of content.
    pub(super) fn new(incoming: Incoming, limit: usize) -> Self {
        Self(Some(Limited::new(incoming, limit)))
    }

    /// Of a request without one.
    pub(super) fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = <Limited<Incoming> as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        frame.map_ok(|frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                drop_ours(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(data) => data,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Drops the fields that only the proxy may send.
pub(super) fn drop_ours(fields: &mut HeaderMap) {
    let ours = |name: &&HeaderName| is_ours(name.as_str().as_bytes());
    let ours: Vec<HeaderName> = fields.keys().filter(ours).cloned().collect();
    for name in ours {
        fields.remove(name);
    }
}

pub(super) enum AnswerBody {
    /// From a node.
    Node { incoming: Incoming, guard: Box<Guard> },
    /// Our own.
    Own(Option<Bytes>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Node { incoming, guard } => {
                let mut frame = Pin::new(incoming).poll_frame(cx);
                if let Poll::Ready(Some(Ok(frame))) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    guard.heard(trailers);
                }
                match &frame {
                    Poll::Ready(Some(Ok(frame))) => {
                        guard.passed(frame.data_ref().map_or(0, |d| d.len() as u64));
                    }
                    Poll::Ready(Some(Err(_))) => guard.failed(),
                    Poll::Ready(None) => guard.whole(),
                    Poll::Pending => {}
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Node { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Node { incoming, .. } => incoming.size_hint(),
        }
    }
}
