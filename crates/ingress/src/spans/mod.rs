//! Spans of sampled requests, on their way to a collector.
//!
//! A worker only hands a record to a bounded queue; where that is full, or the collector away, spans are dropped and
//! counted, since a trace is worth less than a request. Encoding and sending are in a thread of their own, and
//! in builds with the feature `otlp` only.

#[cfg(feature = "otlp")]
mod otlp;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::SyncSender,
};

use foreshift_wire::Traces;

use crate::{access::Entry, error::Error, marking::Trace};

/// Takes spans. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spans {
    queue: SyncSender<Span>,
    dropped: Arc<AtomicU64>,
}

/// One request through the ingress.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
struct Span {
    trace: Trace,
    start_us: u64,
    took_us: u64,
    method: String,
    path: String,
    status: u16,
    pool: String,
    node: Option<String>,
}

impl Spans {
    /// Starts the sending thread; it ends with the last clone. [`Error::NoOtlp`] where this build cannot send.
    #[cfg(feature = "otlp")]
    pub(crate) fn start(traces: &Traces, endpoint: &str) -> Result<Self, Error> {
        let (queue, spans) = std::sync::mpsc::sync_channel(QUEUED_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        otlp::start(endpoint.into(), traces.service.clone(), spans, dropped.clone())?;
        Ok(Self { queue, dropped })
    }

    /// Starts the sending thread; it ends with the last clone. [`Error::NoOtlp`] where this build cannot send.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn start(_: &Traces, _: &str) -> Result<Self, Error> {
        Err(Error::NoOtlp)
    }

    /// Takes a request that was answered at `entry.at_ms`, where it is sampled.
    pub(crate) fn take(&self, entry: &Entry<'_>) {
        let Some(trace) = entry
            .mark
            .and_then(|mark| mark.trace)
            .filter(|trace| trace.sampled)
        else {
            return;
        };
        let mut parts = entry.request.split(' ');
        let span = Span {
            trace,
            start_us: (entry.at_ms * 1000).saturating_sub(entry.took_us),
            took_us: entry.took_us,
            method: parts.next().unwrap_or_default().into(),
            path: parts.next().unwrap_or_default().into(),
            status: entry.status,
            pool: entry.pool.to_string(),
            node: entry.node.map(ToString::to_string),
        };
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Spans that wait to be sent.
#[cfg(feature = "otlp")]
const QUEUED_MAX: usize = 4096;
