//! Tells everyone who listens what happens, without waiting for anyone.
//!
//! A bounded broadcast: a reader that falls behind loses the oldest events and is told how many, so that one
//! slow browser can neither hold up the loop nor grow its memory.

use std::sync::{Arc, OnceLock};

use foreshift_wire::Event;
use tokio::sync::broadcast;

/// Events kept for a reader that is behind.
const BACKLOG: usize = 1_024;

/// An event and its JSON, made once for all readers.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) event: Event,
    json: OnceLock<String>,
}

impl Told {
    pub(crate) fn json(&self) -> &str {
        self.json
            .get_or_init(|| serde_json::to_string(&self.event).expect("an event has only string keys"))
    }
}

/// The sending side; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Bus(broadcast::Sender<Arc<Told>>);

impl Bus {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Tells `event` to whoever listens.
    pub(crate) fn tell(&self, event: Event) {
        let json = OnceLock::new();
        // An error means that nobody listens.
        let _ = self.0.send(Arc::new(Told { event, json }));
    }

    /// True where somebody listens, so that costly events are made only then.
    pub(crate) fn has_listeners(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn listeners(&self) -> usize {
        self.0.receiver_count()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Told>> {
        self.0.subscribe()
    }
}

/// Live events within the process, as `/v1/events` tells them to others.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Arc<Told>>);

impl Events {
    /// The next event; `Err(n)` where `n` events were missed because they came faster than they were taken;
    /// `None` when control has stopped.
    pub async fn next(&mut self) -> Option<Result<Event, u64>> {
        match self.0.recv().await {
            Ok(told) => Some(Ok(told.event.clone())),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
