//! Asks a node for ORCA reports over gRPC: `xds.service.orca.v3.OpenRcaService/StreamCoreMetrics`.
//!
//! One call a node, which the node answers with report after report. Where it ends, another one is begun after a pause that
//! doubles with jitter, and is short again after the first report. A node that does not have the service is not asked again on
//! the same connection.

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use foreshift_telemetry::orca::{LoadReport, OrcaLoadReport, OrcaLoadReportRequest};
use foreshift_wire::SourceKind;
use hyper::{
    Response, Uri,
    body::Incoming,
    client::conn::http2::{self, Connection, SendRequest},
    http::uri::PathAndQuery,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tonic::{
    Code, Request, Status, Streaming,
    body::Body,
    client::{Grpc, GrpcService},
};
use tonic_prost::ProstCodec;

use super::{Teller, counts_for, first_pause};

const KIND: SourceKind = SourceKind::OrcaOutOfBand;
const METHOD: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
/// Largest message that is read.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Pause after the first failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// What all calls of one node share.
struct Asker {
    interval: Duration,
    metrics: Vec<String>,
    teller: Teller,
    pause: Duration,
}

/// Why a connection is given up.
enum End {
    /// Nobody listens any more.
    Unwanted,
    /// The connection, or the node's process.
    Lost,
}

pub(super) async fn run(address: SocketAddr, interval: Duration, metrics: Vec<String>, teller: Teller) {
    first_pause(interval.min(PAUSE_MIN)).await;
    let mut asker = Asker {
        interval,
        metrics,
        teller,
        pause: PAUSE_MIN,
    };
    let Ok(origin) = format!("http://{address}").parse::<Uri>() else {
        return;
    };
    loop {
        let failure = match connect(address).await {
            // The connection is driven here, so that its end is seen even where nothing is asked on it.
            Ok((sender, connection)) => tokio::select! {
                end = asker.ask_on(sender, &origin) => match end {
                    End::Unwanted => return,
                    End::Lost => None,
                },
                _ = connection => Some("the connection ended".to_owned()),
            },
            Err(error) => Some(format!("connect: {error}")),
        };
        if let Some(failure) = failure
            && !asker.failed(&failure).await
        {
            return;
        }
        asker.back_off().await;
    }
}

/// A connection to a node as gRPC calls use it.
#[derive(Clone)]
struct Wire(SendRequest<Body>);

impl GrpcService<Body> for Wire {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

async fn connect(
    address: SocketAddr,
) -> io::Result<(Wire, Connection<TokioIo<TcpStream>, Body, TokioExecutor>)> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
    let stream = connecting
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let (sender, connection) = http
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    Ok((Wire(sender), connection))
}

impl Asker {
    /// Asks as long as the connection lasts.
    async fn ask_on(&mut self, wire: Wire, origin: &Uri) -> End {
        loop {
            let status = match self.ask(wire.clone(), origin).await {
                Ok(mut reports) => match self.listen(&mut reports).await {
                    Ok(end) => return end,
                    Err(status) => status,
                },
                Err(status) => status,
            };
            if !self.failed(&failure(&status)).await {
                return End::Unwanted;
            }
            match status.code() {
                // Until the connection ends: a new process of the node may know the service.
                Code::Unimplemented => return pending().await,
                Code::Unavailable | Code::Unknown => return End::Lost,
                _ => self.back_off().await,
            }
        }
    }

    async fn ask(&self, wire: Wire, origin: &Uri) -> Result<Streaming<OrcaLoadReport>, Status> {
        let mut grpc = Grpc::with_origin(wire, origin.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = OrcaLoadReportRequest {
            report_interval: Some(self.interval.into()),
            request_cost_names: Vec::new(),
        };
        let codec: ProstCodec<OrcaLoadReportRequest, OrcaLoadReport> = ProstCodec::default();
        let response = grpc
            .server_streaming(Request::new(request), PathAndQuery::from_static(METHOD), codec)
            .await?;
        Ok(response.into_inner())
    }

    async fn listen(&mut self, reports: &mut Streaming<OrcaLoadReport>) -> Result<End, Status> {
        let stale_after = counts_for(self.interval);
        while let Some(report) = reports.message().await? {
            self.pause = PAUSE_MIN;
            let told = match LoadReport::try_from(report) {
                Ok(report) => {
                    let load = report.own_load(&self.metrics);
                    self.teller.said(KIND, stale_after, load).await
                }
                Err(error) => self.failed(&error.to_string()).await,
            };
            if !told {
                return Ok(End::Unwanted);
            }
        }
        Err(Status::aborted("the node ended the reports"))
    }

    async fn failed(&self, error: &str) -> bool {
        self.teller.failed(KIND, counts_for(self.interval), error).await
    }

    async fn back_off(&mut self) {
        tokio::time::sleep(self.pause.mul_f64(0.5 + rand::random::<f64>())).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

fn failure(status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => "the node does not have the service OpenRcaService".into(),
        code => format!("{code:?}: {}", status.message()),
    }
}
