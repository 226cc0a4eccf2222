//! A network between an engine and its server that loses answers or stands still.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// What is to go wrong.
pub(crate) struct Trouble {
    /// Answers to scripts and reads that are still to be lost, with their connection.
    pub(crate) lost_answers: AtomicUsize,
    /// Nothing gets through until this ends.
    pub(crate) stalls: watch::Sender<bool>,
    /// It stalls as soon as an answer was lost.
    pub(crate) then_stalls: AtomicBool,
    /// Answers that were lost.
    pub(crate) lost: AtomicUsize,
}

impl Trouble {
    async fn is_over(&self) {
        let mut stalls = self.stalls.subscribe();
        stalls
            .wait_for(|stalls| !stalls)
            .await
            .expect("the sender is here");
    }
}

/// Listens beside a server; ends with its drop.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) trouble: Arc<Trouble>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let trouble = Arc::new(Trouble {
            lost_answers: AtomicUsize::new(0),
            stalls: watch::Sender::new(false),
            then_stalls: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&trouble);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, trouble, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: u16, trouble: Arc<Trouble>) {
    let address = SocketAddr::from((super::redis::host(), server));
    let Ok(server) = TcpStream::connect(address).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Of this connection the next answer is lost.
    let cuts = Arc::new(AtomicBool::new(false));
    let there = requests(from_client, to_server, Arc::clone(&trouble), Arc::clone(&cuts));
    let back = answers(from_server, to_client, trouble, cuts);
    // Either end ends both.
    tokio::select! {
        _ = there => {}
        _ = back => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    trouble: Arc<Trouble>,
    cuts: Arc<AtomicBool>,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        trouble.is_over().await;
        let says = |name: &[u8]| buffer[..length].windows(name.len()).any(|word| word == name);
        let is_operation = says(b"EVALSHA") || says(b"HGET") || says(b"HMGET");
        let one_less = |left: usize| left.checked_sub(1);
        if is_operation
            && trouble
                .lost_answers
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
        {
            cuts.store(true, Ordering::SeqCst);
        }
        to.write_all(&buffer[..length]).await.ok()?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    trouble: Arc<Trouble>,
    cuts: Arc<AtomicBool>,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        if cuts.load(Ordering::SeqCst) {
            if trouble.then_stalls.swap(false, Ordering::SeqCst) {
                trouble.stalls.send_replace(true);
            }
            trouble.lost.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        trouble.is_over().await;
        to.write_all(&buffer[..length]).await.ok()?;
    }
}
