//! OTLP over HTTP with binary protobuf, <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Record, Status, span::SpanKind, status::StatusCode},
};
use prost::Message;

use super::Span;

/// Spans sent at once.
const BATCH_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const LINGER: Duration = Duration::from_secs(2);
/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the thread that sends what comes through `spans` until nobody is left to send any.
pub(super) fn start(
    endpoint: String,
    service: String,
    spans: Receiver<Span>,
    dropped: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let run = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        let mut away = false;
        while let Some(batch) = next_batch(&spans) {
            let count = batch.len();
            let sent = agent
                .post(&endpoint)
                .header("Content-Type", "application/x-protobuf")
                .send(&encode(&service, batch)[..]);
            match sent {
                Ok(_) => away = false,
                Err(error) => {
                    let lost = dropped.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%endpoint, %error, lost, "spans are dropped while the collector is away");
                    }
                }
            }
        }
    };
    std::thread::Builder::new().name("otlp".into()).spawn(run)?;
    Ok(())
}

/// The next spans; `None` once nobody sends any more.
fn next_batch(spans: &Receiver<Span>) -> Option<Vec<Span>> {
    let mut batch = vec![spans.recv().ok()?];
    let until = Instant::now() + LINGER;
    while batch.len() < BATCH_MAX {
        match spans.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(span) => batch.push(span),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(batch)
}

fn encode(service: &str, batch: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "foreshift".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        }),
        spans: batch.into_iter().map(record).collect(),
        ..Default::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service)],
                ..Default::default()
            }),
            scope_spans: vec![scope],
            ..Default::default()
        }],
    };
    request.encode_to_vec()
}

fn record(span: Span) -> Record {
    let mut attributes = vec![
        text("http.request.method", &span.method),
        text("url.path", &span.path),
        attribute("http.response.status_code", Value::IntValue(span.status.into())),
        text("foreshift.pool", &span.pool),
    ];
    attributes.extend(span.node.as_deref().map(|node| text("foreshift.node", node)));
    let code = if span.status >= 500 {
        StatusCode::Error
    } else {
        StatusCode::Unset
    };
    Record {
        trace_id: span.trace.id.to_be_bytes().into(),
        span_id: span.trace.span.to_be_bytes().into(),
        parent_span_id: span
            .trace
            .parent
            .map(|p| p.to_be_bytes().into())
            .unwrap_or_default(),
        // Routes are not known here, and paths are too many to be names.
        name: span.method,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: span.start_us * 1000,
        end_time_unix_nano: (span.start_us + span.took_us) * 1000,
        attributes,
        status: Some(Status {
            code: code.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}
