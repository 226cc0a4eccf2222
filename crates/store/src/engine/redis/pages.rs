//! All sessions, in pages: `SCAN` on one server that has slots after the other.
//!
//! A cursor is the server and its own cursor. While slots move, sessions that move from a server that is still to come to one that
//! was there already are left out, as the servers keep no common order; the next sweep finds them.

use redis::{Pipeline, Value};
use tokio::time::timeout;

use super::{
    super::{Cursor, Page},
    fault::Fault,
    layout,
    run::Runner,
    slots::Address,
};
use crate::Error;

/// Keys that a server looks at for one page.
const PAGE: u32 = 512;

impl Runner {
    /// Some sessions, from where the page before ended.
    pub(super) async fn page(&self, from: Option<Cursor>) -> Result<Page, Error> {
        let within = self.settings.all_attempts();
        let late = |_| {
            unavailable(Fault::Unreachable(format!(
                "no list of sessions within {within:?}"
            )))
        };
        timeout(within, self.page_of(from)).await.map_err(late)?
    }

    async fn page_of(&self, from: Option<Cursor>) -> Result<Page, Error> {
        let primaries = self.routes.primaries(&self.settings, &self.nodes).await;
        let primaries = primaries.map_err(unavailable)?;
        let (after, cursor) = from.as_ref().and_then(parse).unwrap_or((None, 0));
        // Where the server of the cursor has no slots any more, the next one begins.
        let server = match &after {
            Some(server) => primaries.range(server..).next(),
            None => primaries.first(),
        };
        let Some(server) = server else {
            return Ok(Page::default());
        };
        let cursor = if after.as_ref() == Some(server) { cursor } else { 0 };
        let (next, keys) = self.scan(server, cursor).await.map_err(unavailable)?;
        let sessions = self.records(server, keys).await?;
        let following = || primaries.range(server..).nth(1).map(|server| (server, 0));
        let next = match next {
            0 => following(),
            next => Some((server, next)),
        };
        let next = next.map(|(server, cursor)| Cursor(format!("{cursor}@{server}")));
        Ok(Page { sessions, next })
    }

    async fn scan(&self, server: &Address, cursor: u64) -> Result<(u64, Vec<Vec<u8>>), Fault> {
        let mut pipe = Pipeline::with_capacity(1);
        let scan = pipe.cmd("SCAN").arg(cursor);
        scan.arg("MATCH")
            .arg(format!("{}*", layout::PREFIX))
            .arg("COUNT")
            .arg(PAGE);
        let mut held = self.nodes.connection(&self.settings, server, false).await?;
        let answer = self.send(server, &mut held, &pipe).await?.into_iter().next();
        let strange = || Fault::refused(format!("{server} does not scan as Redis does"));
        let mut parts = match answer {
            Some(Value::ServerError(error)) => return Err(Fault::answered(server, &error)),
            Some(Value::Array(parts)) => parts.into_iter(),
            _ => return Err(strange()),
        };
        let (Some(Value::BulkString(next)), Some(Value::Array(keys))) = (parts.next(), parts.next()) else {
            return Err(strange());
        };
        let next = std::str::from_utf8(&next).ok().and_then(|next| next.parse().ok());
        let key = |key| match key {
            Value::BulkString(key) => Some(key),
            _ => None,
        };
        Ok((
            next.ok_or_else(strange)?,
            keys.into_iter().filter_map(key).collect(),
        ))
    }

    /// The records of keys, of those that are sessions.
    async fn records(
        &self,
        server: &Address,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<(foreshift_wire::SessionId, super::Record)>, Error> {
        let ids: Vec<_> = keys.iter().filter_map(|key| layout::session(key)).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = Pipeline::with_capacity(ids.len());
        for id in &ids {
            pipe.cmd("HGET").arg(layout::key(*id)).arg("@record");
        }
        let held = self.nodes.connection(&self.settings, server, false).await;
        let mut held = held.map_err(unavailable)?;
        let answers = self.send(server, &mut held, &pipe).await.map_err(unavailable)?;
        let mut sessions = Vec::with_capacity(ids.len());
        for (id, answer) in ids.into_iter().zip(answers) {
            // One that is gone is left out, and one whose slot moved is on a page of its new server; none else stops the sweep.
            if let Value::BulkString(text) = answer
                && let Ok(record) = layout::record(&text)
            {
                sessions.push((id, record));
            }
        }
        Ok(sessions)
    }
}

fn parse(cursor: &Cursor) -> Option<(Option<Address>, u64)> {
    let (cursor, server) = cursor.0.split_once('@')?;
    let nobody = Address("".into(), 0);
    Some((Some(Address::parse(server, &nobody)?), cursor.parse().ok()?))
}

fn unavailable(fault: Fault) -> Error {
    let detail = match fault {
        Fault::Later(detail) | Fault::Unreachable(detail) | Fault::Lost(detail) => detail,
        Fault::Final { detail, .. } => detail,
        Fault::Moved(to) | Fault::Ask(to) => format!("sessions moved to {to} meanwhile"),
        Fault::Unloaded => "a script is missing".into(),
    };
    Error::Unavailable {
        detail,
        unknown: false,
    }
}
