//! Sends a schedule when it is due.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Record, Schedule, client};
use crate::{Socket, SocketOptions};

/// How a schedule is played.
#[derive(Debug, Clone)]
pub struct PlayOptions {
    /// Where the clients connect.
    pub address: SocketAddr,
    /// How long to wait for the last answers; what is missing then is lost.
    pub patience: Duration,
}

/// Name of a user: its affinity key.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number}")
}

/// Opens every user's WebSocket, sends the schedule, waits for the answers. `begun` is set when the first item is
/// due, `stop` ends it early but in order. Fails where the WebSockets cannot be opened; whatever happens later is
/// in the record.
pub async fn play(
    schedule: &Schedule,
    options: &PlayOptions,
    record: Arc<Record>,
    begun: watch::Sender<Option<Instant>>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let sockets: Vec<_> = stream::iter(0..schedule.users())
        .map(|number| async move {
            let socket = SocketOptions::new(options.address, &user(number));
            Socket::connect(&socket).await.map(|open| (socket, open))
        })
        .buffered(32)
        .collect()
        .await;
    let start = Instant::now() + Duration::from_millis(200);
    let mut clients = JoinSet::new();
    let mut inboxes = Vec::with_capacity(sockets.len());
    for socket in sockets {
        let (options_of_user, open) = socket.context("open the users' WebSockets")?;
        let (inbox, items) = mpsc::unbounded_channel();
        inboxes.push(inbox);
        clients.spawn(client::run(
            client::Client {
                options: options_of_user,
                record: record.clone(),
                start,
                patience: options.patience,
            },
            open,
            items,
        ));
    }
    begun.send_replace(Some(start));
    tokio::select! {
        () = dispatch(schedule, start, &inboxes) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(inboxes);
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn dispatch(schedule: &Schedule, start: Instant, inboxes: &[mpsc::UnboundedSender<super::Item>]) {
    for item in schedule.items() {
        let due = start + Duration::from_micros(item.at_us);
        if due > Instant::now() {
            sleep_until(due).await;
        }
        // A client never gives up before its inbox is closed.
        let _ = inboxes[item.user as usize].send(*item);
    }
    sleep_until(start + Duration::from_secs(u64::from(schedule.seconds()))).await;
}
