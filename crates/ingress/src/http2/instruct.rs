//! Telling an HTTP/2 client to move. Its connection ends behind the answer, which is [`ClientConnection::told`]'s.

use std::time::Instant;

use foreshift_wire::SessionId;
use http::{HeaderValue, Response, header, request::Parts, uri::Authority};

use super::ClientConnection;

/// Where a client reaches us, as its request says. Nothing is copied.
pub(super) struct Here {
    authority: Option<Authority>,
    host: Option<HeaderValue>,
}

impl Here {
    pub(super) fn of(parts: &Parts) -> Self {
        let authority = parts.uri.authority().cloned();
        let host = match authority {
            Some(_) => None,
            None => parts.headers.get(header::HOST).cloned(),
        };
        Self { authority, host }
    }

    fn origin(&self, secure: bool) -> Option<String> {
        let authority = match (&self.authority, &self.host) {
            (Some(authority), _) => authority.as_str(),
            (None, host) => host.as_ref()?.to_str().ok()?,
        };
        let scheme = if secure { "https" } else { "http" };
        // It stands in quotes.
        let plain = !authority.contains(['"', '\\']);
        plain.then(|| format!("{scheme}://{authority}"))
    }
}

/// Tells the client to move, where its session does. True where it was told.
#[inline]
pub(super) fn announce<B>(
    client: &ClientConnection,
    session: SessionId,
    here: &Here,
    response: &mut Response<B>,
) -> bool {
    !client.pool().board.is_empty() && announce_notice(client, session, here, response).is_some()
}

#[cold]
fn announce_notice<B>(
    client: &ClientConnection,
    session: SessionId,
    here: &Here,
    response: &mut Response<B>,
) -> Option<()> {
    let now = Instant::now();
    let notice = client.pool().board.take(session, now)?;
    let origin = client.listener.config.public_url.clone();
    let (migrate, alt_svc) = notice.fields(origin.or_else(|| here.origin(client.secure))?, now)?;
    let value = |text: String| HeaderValue::try_from(text).ok();
    let (migrate, alt_svc) = (value(migrate)?, value(alt_svc)?);
    let headers = response.headers_mut();
    headers.append("foreshift-migrate", migrate);
    headers.append(header::ALT_SVC, alt_svc);
    Some(())
}
