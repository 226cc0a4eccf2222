//! The address at which agents of other machines report, where one is configured.
//!
//! Apart from the API, which others must not reach: here every request needs the token, and nothing else is served.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::watch};

use crate::{Error, api, stop::stopped};

/// Pause between attempts while a former process still listens there.
const TAKEN_PAUSE: Duration = Duration::from_millis(500);

/// Listens; where the address is taken, as while a former process drains, it is tried again in [`serve`].
pub(crate) async fn listen(address: SocketAddr) -> Result<Option<TcpListener>, Error> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(%address, "agents cannot report yet: the address is taken; trying until it is free");
            Ok(None)
        }
        Err(source) => Err(Error::AgentListen { address, source }),
    }
}

/// Serves agents until `stop` turns true.
pub(crate) async fn serve(
    address: SocketAddr,
    mut listener: Option<TcpListener>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let listener = loop {
        if let Some(listener) = listener.take() {
            break listener;
        }
        tokio::select! {
            () = tokio::time::sleep(TAKEN_PAUSE) => {}
            () = stopped(&mut stop) => return,
        }
        listener = TcpListener::bind(address).await.ok();
    };
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!(%address, "agents report here");
    api::serve(listener, router, stop).await;
}
