//! Fetches a node's page of metrics and makes signals of it.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use foreshift_telemetry::prometheus::{Mapped, MappingError, PageError, find};
use foreshift_wire::{OwnLoad, PrometheusScrape, SourceKind};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore, time::Instant};

use super::{Teller, counts_for, first_pause, pause};

/// Longest page that is read.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Pages in memory at once, over all pools.
static AT_ONCE: Semaphore = Semaphore::const_new(16);

/// Why there was no signal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no page within {0}")]
    Timeout(foreshift_wire::Duration),
    #[error("connect: {0}")]
    Connect(std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the path is no URI: {0}")]
    Path(#[from] hyper::http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("the page could not be read, or is longer than {PAGE_BYTES_MAX} bytes: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the page is no text")]
    NotText,
    #[error(transparent)]
    Page(#[from] PageError),
}

pub(super) async fn run(address: SocketAddr, settings: Box<PrometheusScrape>, teller: Teller) {
    let (kind, interval) = (SourceKind::Prometheus, settings.interval.get());
    let stale_after = counts_for(interval);
    let mut signals = Signals::new(&settings);
    first_pause(interval).await;
    loop {
        let scraped = tokio::time::timeout(interval, scrape(address, &settings.path, &mut signals)).await;
        let (load, failure) = match scraped.unwrap_or(Err(Failure::Timeout(settings.interval))) {
            Ok((load, failure)) => (load, failure.map(|failure| failure.to_string())),
            Err(failure) => (OwnLoad::default(), Some(failure.to_string())),
        };
        // What could be read counts though something else could not.
        let mut listens = load.is_empty() || teller.said(kind, stale_after, load).await;
        if let Some(failure) = failure {
            listens &= teller.failed(kind, stale_after, failure).await;
        }
        if !listens {
            return;
        }
        pause(interval).await;
    }
}

/// The mappings of one node, and what they remember of the page before.
struct Signals {
    mapped: Vec<(&'static str, Mapped)>,
    since: Instant,
}

impl Signals {
    fn new(settings: &PrometheusScrape) -> Self {
        let mapped = settings.map.iter();
        Self {
            mapped: mapped
                .map(|(signal, mapping)| (signal, Mapped::new(signal, mapping.clone())))
                .collect(),
            since: Instant::now(),
        }
    }

    fn read(&mut self, page: &str, at: Duration) -> Result<(OwnLoad, Option<MappingError>), PageError> {
        let selectors: Vec<_> = self
            .mapped
            .iter()
            .flat_map(|(_, mapped)| mapped.selectors())
            .collect();
        let mut found = find(page, &selectors)?.into_iter();
        let (mut load, mut failure) = (OwnLoad::default(), None);
        for (signal, mapped) in &mut self.mapped {
            let found: Vec<_> = found.by_ref().take(mapped.selectors().count()).collect();
            let slot = match *signal {
                "cpu" => &mut load.cpu,
                "memory" => &mut load.memory,
                _ => &mut load.utilisation,
            };
            match mapped.on(at, &found) {
                Ok(value) => *slot = value,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Ok((load, failure))
    }
}

async fn scrape(
    address: SocketAddr,
    path: &str,
    signals: &mut Signals,
) -> Result<(OwnLoad, Option<MappingError>), Failure> {
    let _permit = AT_ONCE.acquire().await;
    let page = fetch(address, path).await?;
    let at = signals.since.elapsed();
    let page = std::str::from_utf8(&page).map_err(|_| Failure::NotText)?;
    Ok(signals.read(page, at)?)
}

async fn fetch(address: SocketAddr, path: &str) -> Result<Bytes, Failure> {
    let stream = TcpStream::connect(address).await.map_err(Failure::Connect)?;
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "foreshift-scrape")
        .header(header::ACCEPT, "text/plain;version=0.0.4, */*;q=0.1")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), PAGE_BYTES_MAX);
        Ok(body.collect().await.map_err(Failure::Body)?.to_bytes())
    };
    // Polled here rather than spawned, so that nothing of a scrape outlives it.
    let (mut asked, mut connection) = (std::pin::pin!(asked), std::pin::pin!(connection));
    tokio::select! {
        page = &mut asked => page,
        ended = &mut connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(error.into()),
        },
    }
}
