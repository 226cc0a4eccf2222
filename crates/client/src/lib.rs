//! Connections that follow Foreshift's migration instructions.
//!
//! A [`Socket`] is one continuous WebSocket with the usual `Stream` and `Sink`: told to move, it opens the new connection
//! first, switches between two messages and delivers everything in order; without an instruction it reconnects with back-off
//! and full jitter. [`HttpClient`] sends its requests where the last answer's `Foreshift-Migrate` said.
//!
//! What to do when is decided in [`core`], which has no socket and no clock; all client libraries run the same scripts against
//! theirs (`clients/cases.json`). The protocol is in `docs/clients.md`.
//!
//! ```no_run
//! use foreshift_client::{Message, Options, Socket};
//! use futures_util::{SinkExt, StreamExt};
//!
//! # async fn run() -> Result<(), foreshift_client::Error> {
//! let options = Options {
//!     protocols: vec!["chat".into()],
//!     ..Options::default()
//! };
//! let mut socket = Socket::connect("ws://127.0.0.1:8080/chat", options).await?;
//! socket.send(Message::Text("hello".into())).await?;
//! while let Some(message) = socket.next().await {
//!     println!("{:?}", message?);
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
pub mod core;
mod driver;
mod http;
#[cfg(feature = "sessions")]
pub mod sessions;
mod socket;

pub use self::{
    core::Message,
    http::{HttpClient, HttpOptions},
    socket::{Error, Options, Socket},
};
