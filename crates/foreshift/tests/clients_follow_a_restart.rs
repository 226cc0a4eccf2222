//! Clients that speak `foreshift.v1` go on with the new process, and their users notice nothing.

mod common;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{foreshift::Foreshift, until};
use foreshift_client::{Message, Options, Socket};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

const CLIENTS: usize = 12;
const RESTARTS: u64 = 2;

/// Sends every message back, on every connection by itself.
async fn echo(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What a client got, in the order in which it came.
struct Seen {
    sent: usize,
    echoes: Vec<usize>,
    migrations: u64,
}

/// Never still until it is stopped, with numbered messages; then it waits for all answers.
async fn client(web: SocketAddr, user: usize, stop: Arc<AtomicBool>, moved: Arc<AtomicUsize>) -> Seen {
    let options = Options {
        headers: vec![("x-user".into(), user.to_string())],
        ..Options::default()
    };
    let mut socket = Socket::connect(format!("ws://{web}/chat"), options)
        .await
        .expect("it connects");
    let (mut sent, mut echoes, mut migrations) = (0, Vec::new(), 0);
    loop {
        let stopped = stop.load(Ordering::Relaxed);
        if stopped && echoes.len() == sent {
            return Seen {
                sent,
                echoes,
                migrations,
            };
        }
        if !stopped && sent - echoes.len() < 4 {
            let text = Message::Text(sent.to_string());
            socket.send(text).await.expect("it is open");
            sent += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let message = socket.next().await.expect("it goes on").expect("it goes on");
        let Message::Text(text) = message else {
            panic!("{message:?}")
        };
        echoes.push(text.parse().expect("a number"));
        let now = socket.migrations();
        moved.fetch_add((now - migrations) as usize, Ordering::Relaxed);
        migrations = now;
    }
}

fn config(node: SocketAddr) -> String {
    format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n\
         [ingress]\nworkers = 2\ndrain_timeout = \"60s\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ header = \"x-user\" }}]\n\
         [[pool]]\nname = \"app\"\nreconnects_per_second = 20\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{node}\"\n"
    )
}

#[test]
fn restarts_lose_double_and_reorder_nothing_and_wait_for_nobody() {
    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a free port");
    let node = listener.local_addr().expect("it is bound");
    runtime.spawn(echo(listener));
    let mut foreshift = Foreshift::with_config(&config(node));
    let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<JoinHandle<Seen>> = (0..CLIENTS)
        .map(|user| runtime.spawn(client(foreshift.web, user, stop.clone(), moved.clone())))
        .collect();
    for round in 1..=RESTARTS {
        until("all clients are connected", || {
            let (_, open) = foreshift.api.get("/v1/connections");
            (open.as_array()?.len() == CLIENTS).then_some(())
        });
        let begun = Instant::now();
        // Until the old process has ended by itself, as it has no client left.
        foreshift.is_replaced();
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it was waited for somebody"
        );
        until("all clients know that they have moved", || {
            (moved.load(Ordering::Relaxed) == CLIENTS * round as usize).then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let seen = runtime.block_on(client).expect("no client panics");
        assert_eq!(seen.echoes, (0..seen.sent).collect::<Vec<_>>());
        assert_eq!(seen.migrations, RESTARTS);
    }
}
