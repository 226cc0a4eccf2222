//! The types that travel: configuration, API bodies, events, ingress and control messages.
