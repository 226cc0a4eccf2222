//! How a backend takes replays: partitions of sessions that are about to come here.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use foreshift_wire::entries::{self, Item};
use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, Request, body::Incoming};
use sha2::{Digest as _, Sha256};

/// Most bytes of a replay, before and behind its coding.
const REPLAY_MAX: usize = 64 << 20;

/// A replay that arrived whole.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) items: Vec<Item>,
    /// What the answer has to say: the digest of the bytes that were read.
    pub(super) digest: String,
}

/// Reads a replay. An error says why it is none.
pub(super) async fn read(request: Request<Incoming>) -> Result<Replay, String> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REPLAY_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(&body)));
    let said = text(&head.headers, "content-digest");
    if said.is_some_and(|said| said != digest) {
        return Err("the body is not the one that its digest is of".into());
    }
    let body = match text(&head.headers, "content-encoding") {
        None => body,
        Some("zstd") => Bytes::from(zstd::bulk::decompress(&body, REPLAY_MAX).map_err(|e| e.to_string())?),
        Some(other) => return Err(format!("{other:?} is no coding that is read here; zstd is")),
    };
    let items = entries::decode(body, REPLAY_MAX as u64).map_err(|error| error.to_string())?;
    Ok(Replay { items, digest })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
