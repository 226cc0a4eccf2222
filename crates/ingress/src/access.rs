//! The access log: one line a request, to standard output, from a thread of its own.
//!
//! Standard output can block, and a blocked worker serves nobody. So lines go through a bounded channel; where it
//! is full they are dropped and counted, and the log says how many.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
};

const LINES_MAX: usize = 8192;

/// Writes lines. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessLog {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts the writing thread; it ends with the last clone.
    pub(crate) fn start() -> std::io::Result<Self> {
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
        Ok(Self { lines, dropped })
    }

    /// One request: client, time, request line, status, bytes, microseconds, node. The line's query is left out: it
    /// may carry what is nobody's business.
    pub(crate) fn write(
        &self,
        peer: SocketAddr,
        request: &str,
        status: u16,
        bytes: u64,
        took_us: u64,
        node: &str,
    ) {
        let mut line = String::with_capacity(128);
        let ms = crate::clock::unix_ms();
        let request = without_query(request).replace(['"', '\\'], "_");
        let _ = writeln!(
            line,
            "{} {}.{:03} \"{request}\" {status} {bytes} {took_us}us {node}",
            peer.ip(),
            ms / 1000,
            ms % 1000
        );
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `GET /a?b=c HTTP/1.1` becomes `GET /a HTTP/1.1`.
fn without_query(request: &str) -> String {
    let Some((before, query)) = request.split_once('?') else {
        return request.into();
    };
    match query.split_once(' ') {
        Some((_, after)) => format!("{before} {after}"),
        None => before.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_not_logged() {
        for (request, logged) in [
            ("GET /a?token=s HTTP/1.1", "GET /a HTTP/1.1"),
            ("GET /a HTTP/1.1", "GET /a HTTP/1.1"),
            ("GET http://a.example/b?c=d", "GET http://a.example/b"),
        ] {
            assert_eq!(without_query(request), logged);
        }
    }
}
