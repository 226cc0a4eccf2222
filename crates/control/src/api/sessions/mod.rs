//! `/v1/sessions`: sessions, and their state in partitions.
//!
//! Served at the API's address, and at one of their own where nodes of other machines reach them. Whoever asks is told apart by
//! a token, or, where none is configured and so only this machine reaches us, by what it says of itself.

mod condition;
mod data;
mod keys;
mod life;
mod partitions;
mod place;
mod refuse;
mod replay;
mod stats;
mod who;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn, routing::get};
use foreshift_store::{Sessions, Tokens};
use foreshift_wire::Session;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{guard, problem::ApiError};

/// Where sessions' state is, and who may have it.
#[derive(Clone)]
pub struct SessionStore {
    /// The store.
    pub sessions: Sessions,
    /// Who may ask for what.
    pub tokens: Tokens,
    /// `[session]`, as it was configured.
    pub config: Arc<Session>,
}

impl std::fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionStore").finish_non_exhaustive()
    }
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Desk {
    store: Option<SessionStore>,
}

impl Desk {
    pub(crate) fn new(store: Option<SessionStore>) -> Self {
        Self { store }
    }

    /// The store, where there is one.
    pub(super) fn sessions(&self) -> Option<&Sessions> {
        self.store.as_ref().map(|store| &store.sessions)
    }

    fn store(&self) -> super::problem::Result<&SessionStore> {
        let nothing =
            || ApiError::not_found("no state of sessions is kept: the configuration has no [session]");
        self.store.as_ref().ok_or_else(nothing)
    }

    /// Bytes of a body at most: what a partition may hold at most, in JSON's or Base64's longer words.
    fn body_bytes_max(&self) -> usize {
        let Some(SessionStore { config, .. }) = &self.store else {
            return super::BODY_BYTES_MAX;
        };
        let declared = config
            .partition
            .iter()
            .filter_map(|partition| partition.max_bytes);
        let largest = declared.fold(config.max_bytes, u64::max);
        usize::try_from(largest.saturating_mul(2))
            .unwrap_or(usize::MAX)
            .saturating_add(super::BODY_BYTES_MAX)
    }
}

/// The routes, ready to be merged with others.
pub(crate) fn routes<S>(desk: Desk) -> OpenApiRouter<S> {
    let body_max = desk.body_bytes_max();
    // A key may be called so, too.
    let expire = "/v1/sessions/{id}/partitions/{name}/expire";
    OpenApiRouter::default()
        .routes(routes!(life::create, life::list))
        .routes(routes!(life::show, life::end))
        .routes(routes!(life::revoke))
        .routes(routes!(stats::stats))
        .routes(routes!(replay::pull))
        .routes(routes!(partitions::list))
        .routes(routes!(
            partitions::read,
            partitions::replace,
            partitions::change,
            partitions::remove
        ))
        .routes(routes!(partitions::expire))
        .route(expire, get(keys::read).put(keys::write).delete(keys::remove))
        .routes(routes!(keys::read, keys::write, keys::remove))
        .layer(DefaultBodyLimit::max(body_max))
        .with_state(desk)
}

/// The routes alone, for an address that machines of elsewhere reach.
pub(crate) fn router(store: SessionStore) -> Router {
    let anybody = !store.tokens.are_needed();
    let (router, _) = routes(Desk::new(Some(store))).split_for_parts();
    let router = router
        .fallback(super::unknown_path)
        .method_not_allowed_fallback(super::unknown_method)
        .layer(from_fn(guard::bounded));
    match anybody {
        // Then only this machine reaches it: web pages in a browser on it as well.
        true => router.layer(from_fn(guard::same_origin)),
        false => router,
    }
}
