//! An answer's body on its way to the client; when it ends, so does the request.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::answer::Guard;

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
                let frame = Pin::new(incoming).poll_frame(cx);
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
