//! At what rate clients that are told to move arrive at their new node: all WebSockets of a node that is drained, at once.
//!
//! Clients and nodes run in child processes, as in `switch`. Each node notes when it accepts a connection, in a thread that
//! does nothing else, and the most in any sliding second is told beside `reconnects_per_second`.
//! `INSTRUCT_CLIENTS` (10,000) is lowered where the limit of open files is too low; `INSTRUCT_PER_SECOND` (500) is the limit.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

mod common;

use std::{
    io::BufRead,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Result, Role, open_files, put};
use foreshift_meta::{Meta, Txn};
use foreshift_wire::{Answer, Config, IngressEvent, NodeState, PoolName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Descriptors that the data plane needs besides two for each socket: those of clients that have both connections.
const SPARE: u64 = 800;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match std::env::var("BENCH_ROLE").as_deref() {
        Ok("node") => runtime.block_on(node()),
        Ok("clients") => runtime.block_on(clients()),
        _ => runtime.block_on(measure()),
    }
}

/// A line of standard input, while everything else goes on.
async fn line() -> Result<String> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    Ok(line.await??.trim().to_owned())
}

/// Most of `times`, which are in order, in any second.
fn most_in_a_second(times: &[Instant]) -> usize {
    let until = |begin: usize| {
        let end = times[begin] + Duration::from_secs(1);
        times.partition_point(|time| *time < end) - begin
    };
    (0..times.len()).map(until).max().unwrap_or_default()
}

/// A node that accepts every WebSocket and answers pings and closes. When asked, it tells what it has accepted.
async fn node() -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let accepted: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let (noted, (sender, mut sockets)) = (accepted.clone(), tokio::sync::mpsc::unbounded_channel());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Instant::now());
            let _ = sender.send(stream);
        }
    });
    tokio::spawn(async move {
        while let Some(Ok(stream)) = sockets.recv().await {
            let ready = stream
                .set_nodelay(true)
                .and_then(|()| stream.set_nonblocking(true));
            let stream = ready.and_then(|()| TcpStream::from_std(stream));
            tokio::spawn(async move { serve(stream?).await });
        }
    });
    line().await?;
    let times = accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("{} {}", times.len(), most_in_a_second(&times));
    std::future::pending().await
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut socket = Socket::new(stream);
    socket.head().await?;
    let agree = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    socket.stream.write_all(agree.as_bytes()).await?;
    loop {
        let (first, payload) = socket.frame().await?;
        let answer = match first & 0x0f {
            8 => 0x88,
            9 => 0x8a,
            _ => continue,
        };
        socket.send(answer, None, &payload).await?;
        if answer == 0x88 {
            return Ok(());
        }
    }
}

/// One end of a WebSocket whose messages are short.
struct Socket {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Socket {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Opens one; the status has to be 101.
    async fn open(address: SocketAddr, index: usize, more: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut socket = Self::new(stream);
        let handshake = format!(
            "GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: foreshift.v1\r\nx-user: u{index}\r\n{more}\r\n"
        );
        socket.stream.write_all(handshake.as_bytes()).await?;
        let head = socket.head().await?;
        match head.starts_with(b"HTTP/1.1 101 ") {
            true => Ok(socket),
            false => Err(std::io::Error::other(String::from_utf8_lossy(&head).into_owned())),
        }
    }

    async fn more(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.bytes).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn head(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                return Ok(self.bytes.drain(..at + 4).collect());
            }
            self.more().await?;
        }
    }

    /// The first byte and the payload of the next frame.
    async fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some((first, payload, length)) = parse(&self.bytes) {
                self.bytes.drain(..length);
                return Ok((first, payload));
            }
            self.more().await?;
        }
    }

    async fn send(&mut self, first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> std::io::Result<()> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            n @ 0..=125 => frame.push(bit | n as u8),
            n => {
                frame.push(bit | 126);
                frame.extend((n as u16).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        let key = mask.unwrap_or_default();
        frame.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        self.stream.write_all(&frame).await
    }
}

/// The frame at the beginning of `bytes`, if it is whole: first byte, payload, length.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
            4,
        ),
        n => (usize::from(n), 2),
    };
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        key.copy_from_slice(bytes.get(at..at + 4)?);
        at += 4;
    }
    let payload = bytes.get(at..at + length)?;
    let payload = payload
        .iter()
        .zip(key.iter().cycle())
        .map(|(byte, key)| byte ^ key);
    Some((first, payload.collect(), at + length))
}

/// Waits to be told to move, and does. Returns the connection that goes on.
async fn follow(mut old: Socket, address: SocketAddr, index: usize) -> Result<Socket> {
    let (_, told) = old.frame().await?;
    let told: serde_json::Value = serde_json::from_slice(told.get(1..).ok_or("no instruction")?)?;
    let token = told["token"].as_str().ok_or("no token")?;
    let delay = told["delay_ms"].as_u64().ok_or("no delay")?;
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let mut new = Socket::open(address, index, &format!("Foreshift-Token: {token}\r\n")).await?;
    let (_, resumed) = new.frame().await?;
    if !resumed.starts_with(b"\x1e{\"foreshift\":\"resumed\"") {
        return Err("not resumed".into());
    }
    let moved = format!("\u{1e}{{\"foreshift\":\"moved\",\"token\":\"{token}\"}}");
    old.send(0x81, Some([1, 2, 3, 4]), moved.as_bytes()).await?;
    match old.frame().await? {
        (0x88, payload) if payload.starts_with(&1000_u16.to_be_bytes()) => Ok(new),
        other => Err(format!("not closed: {other:?}").into()),
    }
}

/// Opens as many WebSockets as asked for on standard input, says so, and follows instructions until it is asked how many
/// have moved.
async fn clients() -> Result<()> {
    let asked = line().await?;
    let (address, count) = asked.split_once(' ').ok_or("address and count")?;
    let (address, count): (SocketAddr, usize) = (address.parse()?, count.parse()?);
    let moved = Arc::new(AtomicUsize::new(0));
    for index in 0..count {
        let (socket, moved) = (Socket::open(address, index, "").await?, moved.clone());
        tokio::spawn(async move {
            let socket = follow(socket, address, index).await.map_err(|e| e.to_string());
            match socket {
                Ok(socket) => {
                    moved.fetch_add(1, Ordering::Relaxed);
                    // It stays open.
                    std::mem::forget(socket);
                }
                Err(error) => eprintln!("client {index}: {error}"),
            }
        });
    }
    println!("open");
    line().await?;
    // What was closed to them last may be on its way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("{}", moved.load(Ordering::Relaxed));
    std::future::pending().await
}

fn setting(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(otherwise)
}

async fn measure() -> Result<()> {
    let (wanted, per_second) = (
        setting("INSTRUCT_CLIENTS", 10_000),
        setting("INSTRUCT_PER_SECOND", 500),
    );
    let count = wanted.min((open_files() - SPARE) / 2);
    if count < wanted {
        println!(
            "{} open files are allowed: {count} clients instead of {wanted}",
            open_files()
        );
    }
    let mut children = [
        Role::start("node")?,
        Role::start("node")?,
        Role::start("clients")?,
    ];
    let [old, new, clients] = &mut children;
    let (old_at, new_at): (SocketAddr, SocketAddr) = (old.line()?.parse()?, new.line()?.parse()?);
    let config = Config::parse(&format!(
        "[ingress.limits]\nconnections_per_source = 100000\n[[listener]]\nname = \"bench\"\naddress = \"127.0.0.1:0\"\n\
         pool = \"bench\"\naffinity = [{{ header = \"x-user\" }}]\n[[pool]]\nname = \"bench\"\n\
         migration_strategy = \"client\"\nreconnects_per_second = {per_second}\n"
    ))?;
    let (meta, pool) = (Meta::in_memory(), PoolName::new("bench")?);
    meta.commit(put(Txn::new(), &pool, "old", old_at, NodeState::Ready)?)
        .await?;
    let (ingress, mut events) = foreshift_ingress::start(&config, meta.clone()).await?;
    clients.say(&format!("{} {count}", ingress.addresses()[0].1))?;
    // The data plane has threads of its own, so this one may wait.
    if clients.line()? != "open" {
        return Err("the clients could not connect".into());
    }
    let both = put(Txn::new(), &pool, "new", new_at, NodeState::Ready)?;
    let both = put(both, &pool, "old", old_at, NodeState::Draining)?;
    let begun = Instant::now();
    meta.commit(both).await?;
    let (mut instructed, mut fell_back, mut failed) = (0_u64, 0_u64, 0_u64);
    while instructed + fell_back + failed < count {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await?;
        if let Some(IngressEvent::HandedOver { failure, told, .. }) = event {
            match (failure, told.map(|told| told.answer)) {
                (None, Some(Answer::Instructed)) => instructed += 1,
                (None, _) => fell_back += 1,
                (Some(_), _) => failed += 1,
            }
        }
    }
    let took = begun.elapsed();
    clients.say("end")?;
    let moved = clients.line()?;
    new.say("end")?;
    let accepted = new.line()?;
    let (accepted, most) = accepted.split_once(' ').ok_or("two numbers")?;
    println!(
        "{instructed} instructed in {:.2} s, {fell_back} fell back to the proxy, {failed} failed; {moved} clients moved; \
         the new node accepted {accepted}, at most {most} in any second; the limit was {per_second}",
        took.as_secs_f64()
    );
    Ok(())
}
