//! How fast open WebSockets change their node: all sessions of a node that is drained, at once.
//!
//! Clients and nodes run in child processes, so that the data plane's process has no descriptors and no time to
//! share with them. Descriptors bound the number of sockets: `SWITCH_SOCKETS` (10,000) is lowered where the limit
//! of open files is too low, and the output says so.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{Result, Role, open_files, put};
use foreshift_meta::{Meta, Txn};
use foreshift_wire::{Config, IngressEvent, NodeState, PoolName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Descriptors that the data plane needs besides two for each socket.
const SPARE: u64 = 400;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match std::env::var("BENCH_ROLE").as_deref() {
        Ok("node") => runtime.block_on(node()),
        Ok("clients") => runtime.block_on(common::clients()),
        _ => runtime.block_on(measure()),
    }
}

/// A node that accepts every WebSocket, answers pings and closes, and echoes nothing else.
async fn node() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let _ = serve(stream).await;
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 1024];
    let mut filled = 0;
    while !buffer[..filled].ends_with(b"\r\n\r\n") {
        let n = stream.read(&mut buffer[filled..]).await?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
    }
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
        .await?;
    loop {
        // Control frames come whole: each is one write of the data plane.
        let n = stream.read(&mut buffer).await?;
        if n < 6 {
            return Ok(());
        }
        let length = usize::from(buffer[1] & 0x7f);
        let answer = if buffer[0] == 0x89 { 0x8a } else { 0x88 };
        let mut frame = vec![answer, length as u8];
        frame.extend_from_slice(&buffer[6..6 + length]);
        stream.write_all(&frame).await?;
        if answer == 0x88 {
            return Ok(());
        }
    }
}

async fn measure() -> Result<()> {
    let wanted: u64 = std::env::var("SWITCH_SOCKETS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(10_000);
    let sockets = wanted.min((open_files() - SPARE) / 2);
    if sockets < wanted {
        println!(
            "{} open files are allowed: {sockets} sockets instead of {wanted}",
            open_files()
        );
    }
    let (mut old, mut new, mut clients) = (
        Role::start("node")?,
        Role::start("node")?,
        Role::start("clients")?,
    );
    let (old_at, new_at): (SocketAddr, SocketAddr) = (old.line()?.parse()?, new.line()?.parse()?);
    let config = Config::parse(
        "[ingress.limits]\nconnections_per_source = 100000\n[[listener]]\nname = \"bench\"\naddress = \"127.0.0.1:0\"\n\
         pool = \"bench\"\naffinity = [{ header = \"x-user\" }]\n[[pool]]\nname = \"bench\"\n",
    )?;
    let (meta, pool) = (Meta::in_memory(), PoolName::new("bench")?);
    meta.commit(put(Txn::new(), &pool, "old", old_at, NodeState::Ready)?)
        .await?;
    let (ingress, mut events) = foreshift_ingress::start(&config, meta.clone()).await?;
    clients.say(&format!("{} {sockets}", ingress.addresses()[0].1))?;
    let opened = tokio::task::spawn_blocking(move || {
        let line = clients.line().map_err(|e| e.to_string());
        (clients, line)
    });
    let (mut clients, line) = opened.await?;
    if line? != "open" {
        return Err("the clients could not connect".into());
    }
    let both = put(Txn::new(), &pool, "new", new_at, NodeState::Ready)?;
    let both = put(both, &pool, "old", old_at, NodeState::Draining)?;
    let begun = Instant::now();
    meta.commit(both).await?;
    let (mut pauses, mut failed) = (Vec::new(), 0);
    while (pauses.len() + failed) < sockets as usize {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await?;
        if let Some(IngressEvent::HandedOver {
            pauses_us, failure, ..
        }) = event
        {
            failed += usize::from(failure.is_some());
            pauses.extend(pauses_us.into_iter().map(|(_, pause)| pause));
        }
    }
    let took = begun.elapsed();
    clients.say("end")?;
    let lost = clients.line()?;
    pauses.sort_unstable();
    let at = |q: f64| pauses[((pauses.len() - 1) as f64 * q) as usize] as f64 / 1000.0;
    println!(
        "{} switched in {:.2} s, {failed} failed, {lost} clients saw anything; pause p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        pauses.len(),
        took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}
