//! Calls of the nodes' hooks: state out of the old node, into the new one.
//!
//! Connections are kept and used again, since thousands of sessions may be handed over at once.

use std::{cell::RefCell, fmt::Write as _, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use foreshift_wire::{ConnectionId, Epoch, NodeId, ProxyVersion, SessionId};
use http::{Method, Request, Response, StatusCode, response::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use tokio::io::AsyncWriteExt;

use crate::{
    reigns::EPOCH,
    stream::Stream,
    tls::{self, PoolTls},
};

/// Largest state that is carried from node to node.
const STATE_MAX: usize = 16 * 1024 * 1024;
const IDLE_MAX: usize = 64;

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    pub(super) session: SessionId,
    pub(super) within: Duration,
    pub(super) way: &'a Way,
}

/// How the nodes of a pool are reached.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// They expect connections to begin with a header of this.
    pub(super) proxy: Option<ProxyVersion>,
    pub(super) tls: Option<Arc<PoolTls>>,
}

type Sender = SendRequest<Full<Bytes>>;

/// Makes calls. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    idle: Rc<RefCell<HashMap<SocketAddr, Vec<Sender>>>>,
}

impl Hooks {
    /// Asks the old node for a session's state, behind so many messages on each connection. `None`: it has none.
    pub(super) async fn hand_off(
        &self,
        call: &Call<'_>,
        to: &NodeId,
        sent: &[(ConnectionId, u64)],
    ) -> Result<Option<Vec<u8>>, String> {
        let mut messages = String::new();
        for (connection, n) in sent {
            let comma = if messages.is_empty() { "" } else { ", " };
            let _ = write!(messages, "{comma}{connection}={n}");
        }
        let fields = [
            ("Foreshift-Handoff-To", to.as_str()),
            ("Foreshift-Messages", &messages),
        ];
        let (status, body) = self.post(call, &fields, Vec::new()).await?;
        match status {
            // The last two are what a service says that has no such hook.
            StatusCode::NO_CONTENT
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(None),
            _ if status.is_success() => Ok(Some(body)),
            _ => Err(format!("{} answered {status}", call.path)),
        }
    }

    /// Gives the new node a session's state.
    pub(super) async fn resume(
        &self,
        call: &Call<'_>,
        from: &NodeId,
        epoch: Option<Epoch>,
        state: Vec<u8>,
    ) -> Result<(), String> {
        let field = ("Foreshift-Migrated-From", from.as_str());
        let (status, _) = self.post_since(call, field, epoch, state).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{} answered {status}", call.path))
        }
    }

    /// Gives the old node its state back.
    pub(super) async fn give_back(
        &self,
        call: &Call<'_>,
        epoch: Option<Epoch>,
        state: Vec<u8>,
    ) -> Result<(), String> {
        let field = ("Foreshift-Handoff-Aborted", "1");
        let (status, _) = self.post_since(call, field, epoch, state).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{} answered {status}", call.path))
        }
    }

    /// As [`Self::post`], and says since when the node serves the session, where that is known.
    async fn post_since(
        &self,
        call: &Call<'_>,
        field: (&str, &str),
        epoch: Option<Epoch>,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let epoch = epoch.map(|epoch| epoch.to_string());
        let epoch = epoch.as_deref().map(|epoch| (EPOCH, epoch));
        let fields: Vec<_> = std::iter::once(field).chain(epoch).collect();
        self.post(call, &fields, body).await
    }

    async fn post(
        &self,
        call: &Call<'_>,
        fields: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let answer = self.send(call, Method::POST, fields, body.into()).await;
        let (head, body) = answer.map_err(|why| format!("{}: {why}", call.path))?;
        Ok((head.status, body))
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        method: Method,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(Parts, Vec<u8>), String> {
        let exchange = async {
            let mut sender = self.connect(call).await?;
            let mut request = Request::builder()
                .method(method)
                .uri(call.path)
                .header(http::header::HOST, call.address.to_string())
                .header("Foreshift-Session", call.session.to_string());
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
            let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let answer = read(response).await?;
            self.keep(call.address, sender);
            Ok(answer)
        };
        tokio::time::timeout(call.within, exchange)
            .await
            .map_err(|_| format!("no answer within {:?}", call.within))?
    }

    async fn connect(&self, call: &Call<'_>) -> Result<Sender, String> {
        let Call { address, way, .. } = *call;
        let kept = || self.idle.borrow_mut().get_mut(&address).and_then(Vec::pop);
        while let Some(mut sender) = kept() {
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if let Some(version) = way.proxy {
            stream
                .write_all(version.own_header())
                .await
                .map_err(|e| e.to_string())?;
        }
        let mut stream = Stream::from(stream);
        if let Some(tls) = &way.tls {
            let settings = tls.settings();
            let shaken = tls::connect(stream, &settings, address.ip(), false, call.within);
            stream = shaken.await.map_err(|e| e.to_string())?;
        }
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::task::spawn_local(async move {
            // An error shows at the request that it concerns.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn keep(&self, address: SocketAddr, sender: Sender) {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.entry(address).or_default();
        if kept.len() < IDLE_MAX {
            kept.push(sender);
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<(Parts, Vec<u8>), String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, STATE_MAX)
        .collect()
        .await
        .map_err(|e| e.to_string())?;
    Ok((head, body.to_bytes().to_vec()))
}
