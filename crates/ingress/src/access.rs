//! The access log: one line a request, to standard output, from a thread of its own.
//!
//! Standard output can block, and a blocked worker serves nobody. So lines go through a bounded channel; where it
//! is full they are dropped and counted, and the log says how many.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
};

use foreshift_wire::{KeySelector, NodeId, PoolName, SessionId};

use crate::marking::Mark;

const LINES_MAX: usize = 8192;

/// Writes lines. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog {
    pub(crate) json: bool,
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts the writing thread; it ends with the last clone.
    pub(crate) fn start(json: bool) -> std::io::Result<Self> {
        let (lines, queue) = sync_channel::<String>(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let mut out = std::io::stdout();
                while let Ok(line) = queue.recv() {
                    let lost = lost.swap(0, Ordering::Relaxed);
                    if lost > 0
                        && writeln!(out, "# {lost} lines dropped: standard output is too slow").is_err()
                    {
                        return;
                    }
                    if out.write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { json, lines, dropped })
    }

    /// Writes down one request.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let mut line = match self.json {
            false => entry.text(),
            true => entry.json(),
        };
        line.push('\n');
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One request that was answered, or refused.
pub(crate) struct Entry<'a> {
    pub(crate) at_ms: u64,
    pub(crate) client: IpAddr,
    pub(crate) pool: &'a PoolName,
    /// `GET /a HTTP/1.1`.
    pub(crate) request: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) took_us: u64,
    /// Absent where no node was asked.
    pub(crate) node: Option<&'a NodeId>,
    /// The affinity key is written as this hash of it only.
    pub(crate) session: Option<SessionId>,
    pub(crate) mark: Option<&'a Mark>,
}

impl Entry<'_> {
    fn text(&self) -> String {
        let mut line = String::with_capacity(192);
        let request = self.request.replace(['"', '\\'], "_");
        let _ = write!(
            line,
            "{} {}.{:03} \"{request}\" {} {} {}us {} {}",
            self.client,
            self.at_ms / 1000,
            self.at_ms % 1000,
            self.status,
            self.bytes,
            self.took_us,
            self.pool,
            self.node.map_or("-", NodeId::as_str),
        );
        let _ = match self.session {
            Some(session) => write!(line, " {session}"),
            None => write!(line, " -"),
        };
        let id = self.mark.and_then(|mark| mark.request_id.as_deref());
        let _ = write!(line, " {}", id.unwrap_or("-"));
        line
    }

    fn json(&self) -> String {
        let mut parts = self.request.splitn(3, ' ');
        let line = JsonLine {
            at_ms: self.at_ms,
            client: self.client,
            pool: self.pool.as_str(),
            method: parts.next().unwrap_or_default(),
            path: parts.next().unwrap_or_default(),
            protocol: parts.next().unwrap_or_default(),
            status: self.status,
            bytes: self.bytes,
            took_us: self.took_us,
            node: self.node.map(NodeId::as_str),
            session: self.session,
            request_id: self.mark.and_then(|mark| mark.request_id.as_deref()),
            trace_id: self
                .mark
                .and_then(|mark| mark.trace)
                .map(|trace| format!("{:032x}", trace.id)),
        };
        // Text and numbers only: there is nothing that could not be written.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[derive(serde::Serialize)]
struct JsonLine<'a> {
    at_ms: u64,
    client: IpAddr,
    pool: &'a str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    status: u16,
    bytes: u64,
    took_us: u64,
    node: Option<&'a str>,
    session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// A request line as it may be logged: without its query, and without the path segment that is somebody's key.
pub(crate) fn request_line(request: &str, selectors: &[KeySelector]) -> String {
    let mut parts = request.splitn(3, ' ');
    let (method, target, protocol) = (parts.next(), parts.next(), parts.next());
    let target = target.unwrap_or_default();
    let whole = target.split(['?', '#']).next().unwrap_or_default();
    let authority = whole.find("://").map_or(0, |at| at + 3);
    let begin = whole[authority..]
        .find('/')
        .map_or(whole.len(), |at| authority + at);
    let (before, path) = whole.split_at(begin);
    let mut line = format!("{} {before}", method.unwrap_or_default());
    let is_key = |n: usize| {
        let mut paths = selectors.iter();
        paths.any(|s| matches!(s, KeySelector::PathSegment(m) if usize::from(*m) == n))
    };
    let mut counted = 0;
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            line.push('/');
        }
        let hide = !segment.is_empty() && is_key(counted);
        line.push_str(if hide { "~" } else { segment });
        counted += usize::from(!segment.is_empty());
    }
    if let Some(protocol) = protocol {
        line.push(' ');
        line.push_str(protocol);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_same_as_text_and_as_json() {
        let mark = Mark {
            request_id: Some("r-1".into()),
            trace: None,
        };
        let (pool, node) = (PoolName::new("app").unwrap(), NodeId::new("a").unwrap());
        let entry = Entry {
            at_ms: 1_700_000_000_123,
            client: "192.0.2.7".parse().unwrap(),
            pool: &pool,
            request: "GET /a\"b HTTP/1.1",
            status: 200,
            bytes: 64,
            took_us: 1500,
            node: Some(&node),
            session: Some(SessionId(0xab)),
            mark: Some(&mark),
        };
        let session = format!("{:032x}", 0xab);
        assert_eq!(
            entry.text(),
            format!("192.0.2.7 1700000000.123 \"GET /a_b HTTP/1.1\" 200 64 1500us app a {session} r-1")
        );
        let json: serde_json::Value = serde_json::from_str(&entry.json()).unwrap();
        let expected = serde_json::json!({
            "at_ms": 1_700_000_000_123_u64, "client": "192.0.2.7", "pool": "app", "method": "GET", "path": "/a\"b",
            "protocol": "HTTP/1.1", "status": 200, "bytes": 64, "took_us": 1500, "node": "a", "session": session,
            "request_id": "r-1",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn neither_a_query_nor_a_key_in_the_path_is_logged() {
        let selectors = [KeySelector::Header("x".into()), KeySelector::PathSegment(1)];
        for (request, logged) in [
            ("GET /a?token=s HTTP/1.1", "GET /a HTTP/1.1"),
            ("GET /a HTTP/1.1", "GET /a HTTP/1.1"),
            ("GET /room/ann/chat?d HTTP/1.1", "GET /room/~/chat HTTP/1.1"),
            ("GET //room//ann", "GET //room//~"),
            (
                "GET http://a.example/room/ann?b HTTP/1.1",
                "GET http://a.example/room/~ HTTP/1.1",
            ),
            ("rubbish", "rubbish "),
        ] {
            assert_eq!(request_line(request, &selectors), logged);
        }
    }
}
